# The words of every script in a guest of the lab, for any POSIX shell. They
# write what src/guest/protocol.rs reads to $OUT, and keep files in $TMP.

# say LINE...: lines of the protocol.
say() { for line; do echo "$line"; done > $OUT; }
# bytes NAME: standard input, between markers.
bytes() { echo "@begin $1"; base64; echo "@end $1"; }
# put NAME: standard input to the host.
put() { bytes "$1" > $OUT; }
# put_file NAME PATH: a file, if it is there.
put_file() { if [ -r "$2" ]; then bytes "$1" < "$2" > $OUT; fi; }
# run LABEL COMMAND...: a command, its exit code and both outputs.
run() {
	label=$1
	shift
	"$@" < /dev/null > $TMP/stdout 2> $TMP/stderr
	code=$?
	{
		echo "@run $label $code"
		bytes stdout < $TMP/stdout
		bytes stderr < $TMP/stderr
	} > $OUT
	return $code
}
# jump COMMAND...: a command that is meant to leave this kernel.
jump() {
	say @jump
	run jump "$@"
}
