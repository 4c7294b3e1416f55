#!/usr/bin/env bash
# Collects all that install.sh takes from a network into one folder, for a site that has none.
#
# Usage: firmware_scripts/offline/collect.sh --release bookworm|trixie --arch arm64|amd64 --to FOLDER [WORDS]
#
# Run it in a clone, on a machine with a network and Debian's apt; it need not be a Raspberry Pi. The folder gets every
# wheel of the device's lock (hashes checked by pip) and the wheel of this clone, every Debian package with all that it
# needs (signatures checked by apt), these scripts, and SHA256SUMS over all of it. Carry it on a stick, then:
#
#   sudo FOLDER/firmware_scripts/install.sh --offline FOLDER --digest DIGEST
#
# where DIGEST is the last line that this prints: take it there another way than on the stick.
#
#   --release NAME   the release of the device
#   --arch NAME      its architecture, as dpkg calls it
#   --to FOLDER      new or empty
#   --sources FILE   apt's list of archives to take packages from, instead of this machine's Debian archive; for
#                    picamera2, copy the lists of a Raspberry Pi OS of that release into one file
#   --package NAME   one more package; may be given several times. Optional ones (picamera2, fake-hwclock, overlayroot)
#                    are taken where the archive has them
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

TARGET_RELEASE="" TARGET="" TO="" LISTS="" PYTHON_HERE=python3
FOR_IMAGE=no
EXTRA=() DEBS=()
while [ $# -gt 0 ]; do
  case $1 in
    --release | --arch | --to | --sources | --package | --deb | --python)
      value_of "$@"
      case $1 in
        --release) TARGET_RELEASE=$VALUE ;;
        --arch) TARGET=$VALUE ;;
        --to) TO=$VALUE ;;
        --sources) LISTS=$VALUE ;;
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
[ -z "$LISTS" ] || [ -r "$LISTS" ] || refuse "--sources: there is no file '$LISTS'"
for file in ${DEBS[@]+"${DEBS[@]}"}; do [ -r "$file" ] || refuse "--deb: there is no file '$file'"; done
[ -r "$SOURCES/requirements/device.lock" ] || refuse "$SOURCES is no clone of Leukoscope: run collect.sh from one"
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

# An apt of its own: other release, other architecture, nothing installed, so that everything needed is fetched.
private_apt() {
  mkdir -p "$WORK/apt/lists/partial" "$WORK/apt/archives/partial" "$WORK/apt/etc"
  : > "$WORK/apt/status"
  if [ -n "$LISTS" ]; then
    cp "$LISTS" "$WORK/apt/etc/archives.list"
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
    } > "$WORK/apt/etc/archives.list"
  fi
  OPTIONS=(-o "Dir::Etc::sourcelist=$WORK/apt/etc/archives.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$WORK/apt/lists"
    -o "Dir::State::status=$WORK/apt/status" -o "Dir::Cache=$WORK/apt" -o "Dir::Cache::archives=$WORK/apt/archives"
    -o "APT::Architecture=$TARGET" -o "APT::Architectures::=$TARGET" -o APT::Sandbox::User=root -o APT::Install-Recommends=false)
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
  "$PYTHON_HERE" "$HERE/offline/lines_for.py" "$SOURCES/requirements/device.lock" "$TARGET_PYTHON" "$MACHINE" > "$TO/device.lock"
  local tag tags=()
  # glibc 2.36 is bookworm's: every tag up to it, for pip expands none by itself.
  for tag in manylinux2014 manylinux_2_17 manylinux_2_24 manylinux_2_26 manylinux_2_27 manylinux_2_28 manylinux_2_31 manylinux_2_34 manylinux_2_35; do
    tags+=(--platform "${tag}_$MACHINE")
  done
  quietly "$PYTHON_HERE" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    --implementation cp --python-version "$TARGET_PYTHON" --abi "cp${TARGET_PYTHON/./}" --abi abi3 --abi none "${tags[@]}" \
    --dest "$TO/wheels" -r "$TO/device.lock"
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
act "fetch the wheels of requirements/device.lock, hashes checked" fetch_wheels
STEP=wheel
act "build the wheel of this clone" make_wheel
STEP=sums
act "add these scripts and write SHA256SUMS" finish
tell_changes
if [ "$DRY_RUN" = no ]; then
  say "$(find "$TO" -name '*.deb' | wc -l) packages, $(find "$TO" -name '*.whl' | wc -l) wheels, $(du -sm "$TO" | cut -f 1) MB in $TO. The digest of its SHA256SUMS:"
  digest_of "$TO/SHA256SUMS"
fi
