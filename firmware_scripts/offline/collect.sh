#!/usr/bin/env bash
# Collects all that install.sh takes from a network into one folder, for a site that has none.
#
# Usage: firmware_scripts/offline/collect.sh --release bookworm|trixie --arch arm64|amd64 --to FOLDER [WORDS]
#
# Run it in a clone, on a machine with a network and Debian's apt; it need not be a Raspberry Pi. The folder gets every
# wheel of the device's lock and of the bench page's (hashes checked by pip), the wheel of this clone, every Debian package with all that it
# needs (signatures checked by apt), these scripts, and SHA256SUMS over all of it. Carry it on a stick, then:
#
#   sudo FOLDER/firmware_scripts/install.sh --offline FOLDER --digest DIGEST
#
# where DIGEST is the last line that this prints: take it there another way than on the stick.
#
#   --release NAME   the release of the device
#   --arch NAME      its architecture, as dpkg calls it
#   --to FOLDER      new or empty
#   --sources FILE   apt's list of archives to take packages from (one-line or deb822), instead of this machine's Debian
#                    archive; may be given several times. For picamera2 give those of a Raspberry Pi OS of that release:
#                    /etc/apt/sources.list.d/debian.sources and raspi.sources (bookworm: sources.list and raspi.list)
#   --keyring FILE   a key that signs such an archive, where this machine has not got it; may be given several times. From
#                    the same Raspberry Pi OS: /usr/share/keyrings/raspberrypi-archive-keyring.pgp
#                    (bookworm: /etc/apt/trusted.gpg.d/raspberrypi-archive-stable.gpg)
#   --package NAME   one more package; may be given several times. Optional ones (picamera2, fake-hwclock, overlayroot)
#                    are taken where the archive has them. The page's name takes avahi-daemon and avahi-utils, a kiosk
#                    cage, chromium and openssl: some 400 MB, which nobody else wants
#   --for-image      also the base system, so that image/build.sh can make a card of it
#   --deb FILE       one more package that no archive has, such as the Coral's library; may be given several times
#   --python FILE    the Python that asks pip, any version of 3.11 or newer (python3)
#   --dry-run        print every action, do none
#   --help
#
# Exit codes: 0 done; 1 an action failed; 2 the request is wrong; 4 this machine lacks something.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
SOURCES=$(dirname "$HERE")
# shellcheck source=../lib.sh
. "$HERE/lib.sh"
# shellcheck source=../steps/10-packages.sh
. "$HERE/steps/10-packages.sh"
# shellcheck source=../steps/30-software.sh
. "$HERE/steps/30-software.sh"
watch_for_errors

TARGET_RELEASE="" TARGET="" TO="" PYTHON_HERE=python3
FOR_IMAGE=no
EXTRA=() DEBS=() LISTS=() KEYRINGS=()
while [ $# -gt 0 ]; do
  case $1 in
    --release | --arch | --to | --sources | --keyring | --package | --deb | --python)
      value_of "$@"
      case $1 in
        --release) TARGET_RELEASE=$VALUE ;;
        --arch) TARGET=$VALUE ;;
        --to) TO=$VALUE ;;
        --sources) LISTS+=("$VALUE") ;;
        --keyring) KEYRINGS+=("$VALUE") ;;
        --package) EXTRA+=("$VALUE") ;;
        --deb) DEBS+=("$VALUE") ;;
        --python) PYTHON_HERE=$VALUE ;;
      esac
      shift 2
      ;;
    --for-image) FOR_IMAGE=yes; shift ;;
    --dry-run) DRY_RUN=yes; shift ;;
    --help | -h) help_of "$0"; exit 0 ;;
    *) unknown_word "$1" ;;
  esac
done
case $TARGET_RELEASE in
  bookworm) TARGET_PYTHON=3.11 ;;
  trixie) TARGET_PYTHON=3.13 ;;
  *) refuse "--release must be bookworm or trixie; got '$TARGET_RELEASE'" ;;
esac
case $TARGET in
  arm64) MACHINE=aarch64 ;;
  amd64) MACHINE=x86_64 ;;
  *) refuse "--arch must be arm64 or amd64 (32-bit systems have no wheels); got '$TARGET'" ;;
esac
[ -n "$TO" ] || refuse "--to must name a folder, new or empty"
[ ! -e "$TO" ] || { [ -d "$TO" ] && [ -z "$(ls -A "$TO")" ]; } || refuse "--to must be new or empty; $TO is not"
for file in ${LISTS[@]+"${LISTS[@]}"}; do
  [ -f "$file" ] && [ -r "$file" ] || refuse "--sources: there is no file '$file'"
  grep -Eiq '^(deb[[:space:]]|types[[:space:]]*:)' "$file" || refuse "--sources: $file lists no archive, neither in lines nor as deb822"
done
for file in ${KEYRINGS[@]+"${KEYRINGS[@]}"}; do
  [ -s "$file" ] && [ -r "$file" ] || refuse "--keyring: there is no file '$file'"
  ! grep -q 'PRIVATE KEY' "$file" || refuse "--keyring: $file is a private key"
done
[ ${#KEYRINGS[@]} -eq 0 ] || [ ${#LISTS[@]} -gt 0 ] || refuse "--keyring belongs to --sources"
for file in ${DEBS[@]+"${DEBS[@]}"}; do [ -r "$file" ] || refuse "--deb: there is no file '$file'"; done
[ -r "$SOURCES/requirements/device.lock" ] && [ -r "$SOURCES/requirements/page.lock" ] || refuse "$SOURCES is no clone of Leukoscope: run collect.sh from one"
need_tool apt-get apt
need_tool dpkg-deb dpkg
need_tool "$PYTHON_HERE" python3
PYTHON_HERE=$(command -v "$PYTHON_HERE")
"$PYTHON_HERE" -m pip --version > /dev/null 2>&1 || lacks "$PYTHON_HERE has no pip: apt install python3-pip, or name another with --python"

say "What will be done: packages and wheels for $TARGET_RELEASE on $TARGET (Python $TARGET_PYTHON) are collected in $TO."
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# archive_of LABEL: where this machine's apt finds it; said by apt itself, so that no host stands in these scripts.
archive_of() {
  # shellcheck disable=SC2016 # apt's own placeholders
  apt-get indextargets --format '$(LABEL)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' |
    awk -F '|' -v label="$1" '$1 == label && $2 == "main" && !shown {print $3; shown = 1}'
}

# named_keys FILE: the files that a list says sign its archives.
named_keys() { grep -Eio 'signed-by[[:space:]]*[=:][^]]*' "$1" | grep -Eo '/[^[:space:],]+' | sort -u || true; }

# key_here NAME: the file that stands for NAME: one given with --keyring, or of this machine, whatever it ends in.
key_here() {
  local file stem
  for file in ${KEYRINGS[@]+"${KEYRINGS[@]}"}; do
    if [ "$(basename "$file")" = "$(basename "$1")" ]; then echo "$file"; return 0; fi
  done
  stem=${1%.*}
  for file in "$1" "$stem.pgp" "$stem.gpg" "$stem.asc"; do
    if [ -r "$file" ]; then echo "$file"; return 0; fi
  done
}

# put_key FILE FOLDER: a copy of a keyring under a name that every apt reads; says where.
put_key() {
  local ending=gpg
  ! grep -q -e '-----BEGIN PGP' "$1" || ending=asc
  cp "$1" "$2/$(basename "${1%.*}").$ending"
  echo "$2/$(basename "${1%.*}").$ending"
}

# The lists of --sources, with the keys that they name. The keys of --keyring count for archives that name none, too.
take_lists() {
  local etc=$1 number=0 list file key here
  mkdir -p "$etc/keys" "$etc/trusted.gpg.d"
  find /etc/apt/trusted.gpg.d -maxdepth 1 -type f -exec cp {} "$etc/trusted.gpg.d/" \; 2> /dev/null || true
  for file in ${KEYRINGS[@]+"${KEYRINGS[@]}"}; do put_key "$file" "$etc/trusted.gpg.d" > /dev/null; done
  for file in "${LISTS[@]}"; do
    number=$((number + 1)) list=$etc/lists.d/$number.list
    ! grep -Eiq '^types[[:space:]]*:' "$file" || list=$etc/lists.d/$number.sources
    sed -E 's#(^|[[:space:]])file:/#\1copy:/#' "$file" > "$list" # of file: apt makes no copy to take away
    for key in $(named_keys "$file"); do
      here=$(key_here "$key")
      [ -n "$here" ] || lacks "$file says that $key signs its archive, and this machine has not got it: copy it from the device and name it with --keyring"
      here=$(put_key "$here" "$etc/keys")
      sed -Ei "s#$key([] ,]|\$)#$here\1#g" "$list"
    done
  done
  OPTIONS+=(-o "Dir::Etc::trustedparts=$etc/trusted.gpg.d")
}

# An apt of its own: other release, other architecture, nothing installed, so that everything needed is fetched.
private_apt() {
  mkdir -p "$WORK/apt/lists/partial" "$WORK/apt/archives/partial" "$WORK/apt/etc/lists.d"
  : > "$WORK/apt/status"
  OPTIONS=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$WORK/apt/etc/lists.d" -o "Dir::State::lists=$WORK/apt/lists"
    -o "Dir::State::status=$WORK/apt/status" -o "Dir::Cache=$WORK/apt" -o "Dir::Cache::archives=$WORK/apt/archives"
    -o "APT::Architecture=$TARGET" -o "APT::Architectures::=$TARGET" -o APT::Sandbox::User=root -o APT::Install-Recommends=false)
  if [ ${#LISTS[@]} -gt 0 ]; then
    take_lists "$WORK/apt/etc"
  else
    local uri security
    uri=$(archive_of Debian)
    security=$(archive_of Debian-Security)
    [ -n "$uri" ] || lacks "apt lists no Debian archive here (apt-get update?); --sources names a list"
    # With the corrections: a device that has one of them installed takes nothing older that must match it.
    {
      # (The Pi's firmware is in non-free-firmware.)
      printf 'deb %s %s main non-free-firmware\n' "$uri" "$TARGET_RELEASE" "$uri" "$TARGET_RELEASE-updates"
      [ -z "$security" ] || printf 'deb %s %s-security main\n' "$security" "$TARGET_RELEASE"
    } > "$WORK/apt/etc/lists.d/debian.list"
  fi
  quietly apt-get -qq "${OPTIONS[@]}" update
}

fetch_packages() {
  private_apt
  local package wanted=("${NEEDED_PACKAGES[@]}" ${EXTRA[@]+"${EXTRA[@]}"})
  if [ "$FOR_IMAGE" = yes ]; then
    wanted+=('?essential')
    mapfile -t -O "${#wanted[@]}" wanted < <(awk -v architecture="$TARGET:" '/^#/ || NF == 0 {next} NF == 1 {print $1}
      $1 == architecture {print $2}' "$HERE/image/packages.txt")
  fi
  for package in "${WISHED_PACKAGES[@]}" overlayroot; do
    # (The whole answer is read: a reader that leaves early would make apt-cache fail.)
    case $(apt-cache "${OPTIONS[@]}" policy "$package" | awk '/Candidate:/ {print $2}') in
      "" | "(none)") say "  $package is not in this archive: left out" ;;
      *) wanted+=("$package") ;;
    esac
  done
  for package in "${DEBS[@]+"${DEBS[@]}"}"; do wanted+=("$(cd "$(dirname "$package")" && pwd)/$(basename "$package")"); done
  quietly apt-get -qq --yes "${OPTIONS[@]}" --download-only install "${wanted[@]}"
  mkdir -p "$TO/debs"
  find "$WORK/apt/archives" -maxdepth 1 -name '*.deb' -exec mv {} "$TO/debs/" \;
  for package in "${DEBS[@]+"${DEBS[@]}"}"; do cp "$package" "$TO/debs/"; done
  list_archive > "$TO/debs/Packages"
  # The release's name is what tells a base system's packages from others (mmdebstrap asks for them by it).
  printf 'Suite: %s\nCodename: %s\nArchitectures: %s\nSHA256:\n %s %s Packages\n' "$TARGET_RELEASE" "$TARGET_RELEASE" "$TARGET" \
    "$(digest_of "$TO/debs/Packages")" "$(stat -c %s "$TO/debs/Packages")" > "$TO/debs/Release"
}

# The index that makes a folder an apt archive.
list_archive() {
  local deb
  for deb in "$TO"/debs/*.deb; do
    dpkg-deb --field "$deb"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$(basename "$deb")" "$(stat -c %s "$deb")" "$(digest_of "$deb")"
  done
}

# pip reads a lock's markers for the Python that runs it, so the lines that hold on the device are chosen first.
fetch_wheels() {
  mkdir -p "$TO/wheels"
  local lock
  for lock in device page; do
    "$PYTHON_HERE" "$HERE/offline/lines_for.py" "$SOURCES/requirements/$lock.lock" "$TARGET_PYTHON" "$MACHINE" > "$TO/$lock.lock"
  done
  local tag tags=()
  # glibc 2.36 is bookworm's: every tag up to it, for pip expands none by itself.
  for tag in manylinux2014 manylinux_2_17 manylinux_2_24 manylinux_2_26 manylinux_2_27 manylinux_2_28 manylinux_2_31 manylinux_2_34 manylinux_2_35; do
    tags+=(--platform "${tag}_$MACHINE")
  done
  quietly "$PYTHON_HERE" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    --implementation cp --python-version "$TARGET_PYTHON" --abi "cp${TARGET_PYTHON/./}" --abi abi3 --abi none "${tags[@]}" \
    --dest "$TO/wheels" -r "$TO/page.lock" # which is the device's and the page's
}

make_wheel() {
  INSIDE=$WORK
  ROOT="" build_wheel
  cp "$WORK"/leukoscope-*.whl "$TO/"
}

finish() {
  mkdir -p "$TO/firmware_scripts"
  (cd "$HERE" && find . -type f ! -path '*/__pycache__/*' -print0 | tar --null --files-from - --create --file - | tar --extract --file - -C "$TO/firmware_scripts")
  printf 'release=%s\narchitecture=%s\npython=%s\nimage=%s\n' "$TARGET_RELEASE" "$TARGET" "$TARGET_PYTHON" "$FOR_IMAGE" > "$TO/collected.txt"
  (cd "$TO" && find . -type f ! -path ./SHA256SUMS -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) > "$WORK/sums"
  mv "$WORK/sums" "$TO/SHA256SUMS"
}

[ "$DRY_RUN" = yes ] || mkdir -p "$TO"
STEP=packages
act "fetch Debian packages with all that they need" fetch_packages
STEP=wheels
act "fetch the wheels of requirements/page.lock, hashes checked" fetch_wheels
STEP=wheel
act "build the wheel of this clone" make_wheel
STEP=sums
act "add these scripts and write SHA256SUMS" finish
tell_changes
if [ "$DRY_RUN" = no ]; then
  say "$(find "$TO" -name '*.deb' | wc -l) packages, $(find "$TO" -name '*.whl' | wc -l) wheels, $(du -sm "$TO" | cut -f 1) MB in $TO. The digest of its SHA256SUMS:"
  digest_of "$TO/SHA256SUMS"
fi
