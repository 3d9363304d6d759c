#!/bin/sh
# The machine: what systemd would mount, with cgroup v2 alone; then the tests, as `jobs` lists them, and off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /dev/pts /dev/shm /run/vm /lib/modules
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount --bind "$1" /run/vm
mount --bind /run/vm/kernel/lib/modules /lib/modules
mount -t tmpfs -o mode=1777 tmpfs /tmp
cp /run/vm/initramfs/bin/busybox /tmp/busybox
echo /tmp/modprobe > /proc/sys/kernel/modprobe
ln -s busybox /tmp/modprobe
/tmp/busybox ip link set lo up
cp -r /run/vm/tests /tmp/tests
chmod -R a+rX /tmp/tests
# As many as systemd gives.
ulimit -n 524288

tree=/sys/fs/cgroup
mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 $tree
for slice in $tree $tree/system.slice $tree/user.slice; do
    mkdir -p $slice
    echo "+cpu +memory +pids" > $slice/cgroup.subtree_control
done

# Runs a test file: $1 where, $2 its name.
job() {
    cgroup=$tree/system.slice/$1-$2.service
    mkdir -p "$cgroup" /tmp/home
    chown 1000:1000 /tmp/home
    enter="echo \$\$ > $cgroup/cgroup.procs"
    case $1 in
    # A service of root's own.
    service) then="exec $test" ;;
    # A user's service with Delegate=yes.
    delegated)
        for file in . cgroup.procs cgroup.threads cgroup.subtree_control; do chown 1000:1000 "$cgroup/$file"; done
        then="export TMPDIR=/tmp/home; exec setpriv --reuid=1000 --regid=1000 --clear-groups --inh-caps=-all $test"
        ;;
    # Root's shell, which stays in the cgroup as in that of a login.
    session) then="$test; exit \$?" ;;
    esac
    timeout 1800 sh -c "$enter; $then" && echo "vm: $1 $2: passed" || echo "vm: $1 $2: FAILED"
}

uname -srv | sed 's/^/vm: kernel /'
export RUST_BACKTRACE=0 INSTA_UPDATE=no INSTA_WORKSPACE_ROOT=/
# What is read for the first time, the kernel's modules too, takes longer than a spawner may.
/tmp/tests/bounds signal > /dev/null 2>&1
while read -r where name; do
    test="/tmp/tests/$name --test-threads=2"
    job "$where" "$name" < /dev/null
done < /run/vm/jobs
echo "vm: end"
/tmp/busybox poweroff -f
