# Writes the least MemAvailable (KiB) that it sees to /var/lib/least. A look starts no process.
least=999999999
while :; do
	while read -r name value unit; do
		[ "$name" != MemAvailable: ] || break
	done < /proc/meminfo
	if [ "$value" -lt $least ]; then
		least=$value
		echo "$least" > /var/lib/least
	fi
	sleep 0.2
done
