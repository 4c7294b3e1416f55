#!/usr/bin/env bash
# Builds an image to flash, from a folder that offline/collect.sh --for-image made. No network, no loop device.
#
# Usage: sudo firmware_scripts/image/build.sh --offline FOLDER --to FILE.img [WORDS] [-- WORDS OF install.sh]
#
# Debian's own kernel and firmware for the Pi (linux-image-arm64, raspi-firmware), the instrument by install.sh, and three
# partitions: the firmware's, the root and the record's, which takes the rest of the card at the first start. The table is
# MBR: with GPT a Pi's firmware may not find its partition.
#
#   --offline FOLDER     packages and wheels; it says for which release and architecture
#   --to FILE            the image; it must not exist
#   --hostname NAME      (leukoscope)
#   --ssh-key FILE.pub   the key with which the user technician may log in, and use sudo; without it nobody can log in
#   --read-only-root     the root is read-only from the first start on
#   --root-mb N          size of the root partition (what is in it and a third more)
#   --data-mb N          size of the record's partition before it grows (256)
#   --keep-root DIR      keep the root file system in DIR, new or empty
#   --dry-run            print every action, do none; needs no root
#   --help
#
# What differs from Raspberry Pi OS: Debian's kernel has no driver for the Pi 5's camera chip and Debian has no picamera2, so
# such an image serves USB microscopes (on a Pi 4) and drawn slides; for camera modules flash Raspberry Pi OS and use cloud-init/.
# An image for arm64 is built on an arm64 machine, or where programs of that kind run (qemu-user-static with binfmt).
#
# Exit codes: 0 done; 1 an action failed; 2 the request is wrong; 4 this machine lacks something.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=../lib.sh
. "$HERE/lib.sh"
watch_for_errors
export PATH=$PATH:/usr/sbin:/sbin

OFFLINE="" IMAGE="" NAME=leukoscope KEY="" READ_ONLY=no ROOT_MB="" DATA_MB=256 KEEP=""
INSTALL_WORDS=()
while [ $# -gt 0 ]; do
  case $1 in
    --offline | --to | --hostname | --ssh-key | --root-mb | --data-mb | --keep-root)
      value_of "$@"
      case $1 in
        --offline) OFFLINE=$VALUE ;;
        --to) IMAGE=$VALUE ;;
        --hostname) NAME=$VALUE ;;
        --ssh-key) KEY=$VALUE ;;
        --root-mb) ROOT_MB=$VALUE ;;
        --data-mb) DATA_MB=$VALUE ;;
        --keep-root) KEEP=$VALUE ;;
      esac
      shift 2
      ;;
    --read-only-root) READ_ONLY=yes; shift ;;
    --dry-run) DRY_RUN=yes; shift ;;
    --help | -h) help_of "$0"; exit 0 ;;
    --) shift; INSTALL_WORDS=("$@"); break ;;
    *) unknown_word "$1" ;;
  esac
done
[ -n "$OFFLINE" ] || refuse "build.sh needs --offline FOLDER; offline/collect.sh --for-image makes one"
[ -r "$OFFLINE/collected.txt" ] || refuse "--offline must be a folder made by offline/collect.sh; got '$OFFLINE'"
grep -qx 'image=yes' "$OFFLINE/collected.txt" || refuse "$OFFLINE was collected without --for-image: it holds no base system"
[ -n "$IMAGE" ] || refuse "build.sh needs --to FILE.img"
[ ! -e "$IMAGE" ] || refuse "--to: $IMAGE exists already"
[[ $NAME =~ ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$ ]] || refuse "--hostname must be letters a-z, digits and hyphens; got '$NAME'"
[[ $DATA_MB =~ ^[0-9]{2,6}$ ]] || refuse "--data-mb must be a number of megabytes, 10 or more; got '$DATA_MB'"
[[ $ROOT_MB =~ ^([0-9]{3,6})?$ ]] || refuse "--root-mb must be a number of megabytes, 100 or more; got '$ROOT_MB'"
[ -z "$KEY" ] || grep -Eqs '^(ssh|ecdsa|sk)-[a-z0-9@.-]+ ' "$KEY" || refuse "--ssh-key must be a public key of ssh; got '$KEY'"
[ -z "$KEEP" ] || [ ! -e "$KEEP" ] || [ -z "$(ls -A "$KEEP")" ] || refuse "--keep-root must be new or empty; $KEEP is not"
RELEASE=$(sed -n 's/^release=//p' "$OFFLINE/collected.txt")
ARCHITECTURE=$(sed -n 's/^architecture=//p' "$OFFLINE/collected.txt")
OFFLINE=$(cd "$OFFLINE" && pwd -P)
need_root
if [ "$DRY_RUN" = no ]; then
  need_tool mmdebstrap mmdebstrap
  need_tool mkfs.ext4 e2fsprogs
  need_tool mkfs.vfat dosfstools
  need_tool mcopy mtools
  need_tool sfdisk fdisk
fi
(cd "$OFFLINE" && sha256sum --check --quiet --strict SHA256SUMS > /dev/null 2>&1) ||
  fail "a file in $OFFLINE is not as it was collected: collect it again"

say "What will be done: an image for $RELEASE on $ARCHITECTURE, with the instrument installed, is built in $IMAGE."
WORK=$(mktemp -d /var/tmp/leukoscope-image.XXXXXX)
trap 'rm -rf "$WORK"' EXIT
TREE=${KEEP:-$WORK/root}

packages() { awk -v architecture="$ARCHITECTURE:" '/^#/ || NF == 0 {next} NF == 1 {print $1} $1 == architecture {print $2}' "$HERE/image/packages.txt"; }

make_system() {
  local include
  include=$(packages | paste -sd , -)
  # raspi-firmware writes the kernel's command line when the kernel is installed: it must know the root by then.
  quietly mmdebstrap --mode=root --variant=essential --arch="$ARCHITECTURE" --include="$include" \
    --aptopt='APT::Install-Recommends "false"' --aptopt='APT::Sandbox::User "root"' --dpkgopt=force-unsafe-io \
    --setup-hook="mkdir -p \"\$1/etc/default\" \"\$1/boot/firmware\"" \
    --setup-hook="printf 'ROOTPART=LABEL=root\nCONSOLES=auto\n' > \"\$1/etc/default/raspi-firmware\"" \
    --format=directory "$RELEASE" "$TREE" "deb [trusted=yes] copy:$OFFLINE/debs ./"
}

put_instrument() { "$HERE/install.sh" --root "$TREE" --offline "$OFFLINE" ${INSTALL_WORDS[@]+"${INSTALL_WORDS[@]}"}; }

set_up() {
  {
    printf '# Written by image/build.sh\n'
    printf 'LABEL=root / ext4 defaults,noatime,errors=remount-ro 0 1\n'
    printf 'LABEL=FIRMWARE /boot/firmware vfat defaults,noatime,nofail 0 2\n'
    # nofail, so that the board comes up and can be reached when the partition is damaged; the service itself requires the
    # mount (RequiresMountsFor), for an instrument whose record is not there must not judge into thin air.
    printf 'LABEL=leukoscope %s ext4 defaults,noatime,nodev,nosuid,noexec,nofail,x-systemd.growfs 0 2\n' "$DATA"
  } > "$TREE/etc/fstab"
  printf '%s\n' "$NAME" > "$TREE/etc/hostname"
  printf '127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost ip6-localhost\n' "$NAME" > "$TREE/etc/hosts"
  mkdir -p "$TREE/etc/network/interfaces.d"
  printf 'auto lo\niface lo inet loopback\nallow-hotplug eth0\niface eth0 inet dhcp\n' > "$TREE/etc/network/interfaces"
  : > "$TREE/etc/machine-id" # every card gets its own at its first start, and its own host keys
  rm -f "$TREE"/etc/ssh/ssh_host_*
  mkdir -p "$TREE/etc/systemd/system/ssh.service.d" "$TREE/etc/systemd/system/local-fs.target.wants"
  printf '[Service]\nExecStartPre=\nExecStartPre=/usr/bin/ssh-keygen -A\nExecStartPre=/usr/sbin/sshd -t\n' \
    > "$TREE/etc/systemd/system/ssh.service.d/50-host-keys.conf"
  printf 'PasswordAuthentication no\nPermitRootLogin no\n' > "$TREE/etc/ssh/sshd_config.d/50-leukoscope.conf"
  cp "$HERE/image/grow-data.service" "$TREE/etc/systemd/system/leukoscope-grow.service"
  ln -sf /etc/systemd/system/leukoscope-grow.service "$TREE/etc/systemd/system/local-fs.target.wants/leukoscope-grow.service"
  : > "$TREE/etc/leukoscope-grow"
  chroot "$TREE" passwd --quiet --lock root
  [ -z "$KEY" ] || add_technician
  rm -rf "$TREE"/var/lib/apt/lists/* "$TREE"/var/cache/apt/*.bin "$TREE"/var/log/*.log
}

add_technician() {
  chroot "$TREE" useradd --create-home --shell /bin/bash --groups sudo,video,plugdev technician
  mkdir -m 700 "$TREE/home/technician/.ssh"
  cp "$KEY" "$TREE/home/technician/.ssh/authorized_keys"
  chroot "$TREE" chown -R technician:technician /home/technician/.ssh
  printf 'technician ALL=(ALL) NOPASSWD:ALL\n' > "$TREE/etc/sudoers.d/technician"
  chmod 440 "$TREE/etc/sudoers.d/technician"
}

# The file systems are filled as files and laid into the image at their places: nothing is mounted.
make_image() {
  local boot_mb=256 at=4 root_mb=$ROOT_MB data=$WORK/data
  [ -n "$root_mb" ] || root_mb=$(($(du -sm "$TREE" | cut -f 1) * 4 / 3 + 128))
  rm -f "$WORK"/*.part
  truncate -s "${boot_mb}M" "$WORK/boot.part"
  mkfs.vfat -F 32 -n FIRMWARE "$WORK/boot.part" > /dev/null
  if [ -n "$(ls -A "$TREE/boot/firmware")" ]; then mcopy -s -i "$WORK/boot.part" "$TREE"/boot/firmware/* ::/; fi
  mv "$TREE/boot/firmware" "$WORK/firmware"
  mkdir -m 755 "$TREE/boot/firmware"
  # What was stored while the image was built lies in the record's partition, and its mount point in the root stays empty.
  mkdir "$data"
  cp -a "$TREE$DATA/." "$data/"
  find "$TREE$DATA" -mindepth 1 -delete
  truncate -s "${root_mb}M" "$WORK/root.part"
  mkfs.ext4 -q -L root -d "$TREE" "$WORK/root.part"
  truncate -s "${DATA_MB}M" "$WORK/data.part"
  mkfs.ext4 -q -L leukoscope -d "$data" "$WORK/data.part"
  truncate -s "$((at + boot_mb + root_mb + DATA_MB))M" "$WORK/image.part"
  {
    printf 'label: dos\nunit: sectors\n'
    printf 'start=%dMiB, size=%dMiB, type=c, bootable\n' "$at" "$boot_mb"
    printf 'start=%dMiB, size=%dMiB, type=83\n' "$((at + boot_mb))" "$root_mb"
    printf 'start=%dMiB, size=%dMiB, type=83\n' "$((at + boot_mb + root_mb))" "$DATA_MB"
  } | sfdisk --quiet "$WORK/image.part"
  local part
  for part in boot root data; do
    dd if="$WORK/$part.part" of="$WORK/image.part" bs=1M seek="$at" conv=notrunc,sparse status=none
    case $part in boot) at=$((at + boot_mb)) ;; root) at=$((at + root_mb)) ;; esac
    rm "$WORK/$part.part"
  done
  cp --sparse=always "$WORK/image.part" "$IMAGE.leukoscope-new"
  mv "$IMAGE.leukoscope-new" "$IMAGE"
}

STEP=system
act "make the base system from $OFFLINE (mmdebstrap)" make_system
STEP=instrument
act "install the instrument in it (install.sh --root)" put_instrument
STEP=settings
act "set up partitions, name, network and access" set_up
if [ "$READ_ONLY" = yes ]; then
  act "make the root read-only (read-only-root.sh)" "$HERE/read-only-root.sh" enable --root "$TREE"
fi
STEP=image
act "write $IMAGE (three partitions)" make_image
tell_changes
if [ "$DRY_RUN" = no ]; then
  say "$(($(stat -c %s "$IMAGE") / 1000000)) MB in $IMAGE, sha256 $(digest_of "$IMAGE")"
fi
