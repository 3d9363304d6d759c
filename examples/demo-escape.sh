# What `ringfence demo` starts as an agent: it tries to get out of its sandbox, and says what came of each way.

try() {
    what=$1
    shift
    if "$@" >/dev/null 2>&1; then echo "OPEN: $what"; else echo "shut: $what"; fi
}

try "read the machine's passwords" cat /etc/shadow
try "look into the homes of users" sh -c 'ls -d /home/* /root/.[a-z]* | grep .'
try "see other processes" sh -c 'test "$(ls -d /proc/[0-9]* | wc -l)" -gt 20'
try "change the machine's programs" touch /usr/bin/ls
try "mount something" mount -t tmpfs none /tmp
try "make namespaces of its own" unshare -U true
try "take another host name" hostname elsewhere
try "look up a host that was not granted" getent hosts evil.example
