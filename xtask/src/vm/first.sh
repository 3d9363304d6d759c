#!/bin/sh
# The first program of the machine, in the initramfs: puts the host's files, read-only, under a layer in memory.
mount -t devtmpfs dev /dev
mount -t proc proc /proc
for module in virtio_pci 9pnet_virtio 9p overlay; do modprobe $module; done
mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 host /host
mount -t tmpfs -o mode=755 tmpfs /over
mkdir /over/upper /over/work
mount -t overlay -o lowerdir=/host,upperdir=/over/upper,workdir=/over/work overlay /root
mount --move /dev /root/dev
folder=$(sed 's/.*ringfence.folder=\([^ ]*\).*/\1/' /proc/cmdline)
exec switch_root /root /bin/sh "$folder/machine.sh" "$folder"
