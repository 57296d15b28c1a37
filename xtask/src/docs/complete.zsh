# zsh -f complete.zsh FOLDER: types into another zsh, which has the completion in
# FOLDER, and waits for what that makes of it.
zmodload zsh/zpty
zpty inner env TERM=dumb zsh -f -i
say() {
	zpty -n -w inner $1
	zpty -r -m inner heard "*$2*"
}
# What is typed comes back, so that the answer has to differ from it.
say "PS1=; autoload -U compinit; compinit -D -u; fpath=($1 \$fpath)"$'\n' fpath
say $'autoload -U _kexec; compdef _kexec kexec; print rea""dy\n' ready
say $'kexec() { printf "%s\\t%s\\n" "debian 6.12" Debian; }; print rea""dy\n' ready
say $'kexec reb\t' oot
say $'\C-ukexec load --app\t' --append=
say $'\C-ukexec check --integrity=s\t' --integrity=sha256
say $'\C-ukexec --noe\t' --noefi
say $'\C-ukexec enable ex\t' exitrd
say $'\C-ukexec load deb\t' 'ian\\ 6.12'
say $'\C-ukexec help nee\t' ds-reboot
zpty -d inner
