# shellcheck shell=bash
# packages: what apt must bring: Python's venv, the clock's keeper and, where the archive has it, picamera2

NEEDED_PACKAGES=(python3 python3-venv ca-certificates systemd systemd-timesyncd)
# python3-picamera2 is in Raspberry Pi's archive and not in Debian's; without it USB microscopes work all the same.
WISHED_PACKAGES=(python3-picamera2 fake-hwclock)

packages_check() {
  [ -z "$OFFLINE" ] || check_offline_folder
  [ -z "$DIGEST" ] || [ -n "$OFFLINE" ] || refuse "--digest belongs to --offline"
}

packages_do() {
  local package needed=() wished=()
  for package in "${NEEDED_PACKAGES[@]}"; do installed "$package" || needed+=("$package"); done
  for package in "${WISHED_PACKAGES[@]}"; do
    installed "$package" || remembered looked-for "$package" || wished+=("$package")
  done
  [ ${#needed[@]} -gt 0 ] || [ ${#wished[@]} -gt 0 ] || return 0
  if [ "$DRY_RUN" = yes ]; then
    [ ${#needed[@]} -eq 0 ] || act "install by apt: ${needed[*]}" true
    [ ${#wished[@]} -eq 0 ] || act "install by apt where the archive has them: ${wished[*]}" true
    return 0
  fi
  require_inside
  open_archive
  act "read the archive's lists" patiently in_root "${APT[@]}" "${ARCHIVE[@]}" update
  for package in "${wished[@]}"; do
    if has_candidate "$package"; then
      needed+=("$package")
    else
      say "  $package is not in this archive: left out"
    fi
    remember looked-for "$package"
  done
  [ ${#needed[@]} -eq 0 ] || install_packages "${needed[@]}"
}

install_packages() {
  local before after package
  before=$(mktemp) after=$(mktemp)
  list_packages > "$before"
  act "install by apt: $*" patiently in_root "${APT[@]}" "${ARCHIVE[@]}" install "$@"
  list_packages > "$after"
  while read -r package; do remember package "$package"; done < <(comm -13 "$before" "$after")
  rm -f "$before" "$after"
}

list_packages() { awk '/^Package: / {name = $2} /^Status: / && / installed$/ {print name}' "$ROOT/var/lib/dpkg/status" | sort -u; }

has_candidate() {
  local candidate
  candidate=$(in_root apt-cache "${ARCHIVE[@]}" policy "$1" | awk '/Candidate:/ {print $2}')
  [ -n "$candidate" ] && [ "$candidate" != "(none)" ]
}

# Sets ARCHIVE: apt's options. Online there are none: the system's own sources serve. Offline they name the folder and
# nothing else, in lists of their own, so that the system's lists stay as they are.
open_archive() {
  ARCHIVE=()
  [ -n "$OFFLINE" ] || return 0
  open_work
  local inside=$INSIDE/apt
  mkdir -p "$WORK/apt/lists/partial" "$WORK/apt/archives/partial"
  printf 'deb [trusted=yes] copy:%s/offline/debs ./\n' "$INSIDE" > "$WORK/apt/folder.list"
  ARCHIVE=(-o "Dir::Etc::sourcelist=$inside/folder.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$inside/lists"
    -o "Dir::Cache::archives=$inside/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    -o APT::Sandbox::User=root -o APT::Get::AllowUnauthenticated=false)
}

# A folder that the root file system sees too: WORK from here, INSIDE from there. Removed at the end.
open_work() {
  [ -z "$WORK" ] || return 0
  mkdir -p "$ROOT/var/tmp"
  WORK=$(mktemp -d "$ROOT/var/tmp/leukoscope-install.XXXXXX")
  chmod 755 "$WORK"
  INSIDE=${WORK#"$ROOT"}
  [ -n "$OFFLINE" ] || return 0
  if [ -z "$ROOT" ]; then
    ln -s "$OFFLINE" "$WORK/offline"
  else
    cp -al "$OFFLINE" "$WORK/offline" 2> /dev/null || cp -a "$OFFLINE" "$WORK/offline"
  fi
}

# Steps that run the root file system's own programs need a root that can run here.
require_inside() {
  [ -n "$ROOT" ] || return 0
  [ -c "$ROOT/dev/null" ] || lacks "$ROOT/dev/null is no device: mount or make /dev in that root first"
  in_root /bin/true 2> /dev/null ||
    lacks "programs of $ROOT do not run here: install qemu-user-static with binfmt support, or use a machine of that kind"
}

# XNNPACK reads /proc/cpuinfo: without it the same machine computes by another kind of arithmetic. Mounted for the while.
require_proc() {
  require_inside
  [ ! -e "$ROOT/proc/cpuinfo" ] || return 0
  mount -t proc proc "$ROOT/proc" 2> /dev/null || lacks "$ROOT/proc is not mounted and cannot be mounted from here: mount it first"
  export MOUNTED=$ROOT/proc
}

# Every file as it was collected, nothing missing, nothing added, and made for this system.
check_offline_folder() {
  [ -d "$OFFLINE" ] || refuse "--offline must be a folder made by offline/collect.sh; got '$OFFLINE'"
  OFFLINE=$(cd "$OFFLINE" && pwd -P)
  [ -r "$OFFLINE/SHA256SUMS" ] && [ -r "$OFFLINE/collected.txt" ] ||
    refuse "$OFFLINE holds no SHA256SUMS or no collected.txt: offline/collect.sh makes such folders"
  if [ -n "$DIGEST" ] && [ "$(digest_of "$OFFLINE/SHA256SUMS")" != "$DIGEST" ]; then
    fail "$OFFLINE/SHA256SUMS is not the one whose digest was given: do not use this folder"
  fi
  local listed found
  (cd "$OFFLINE" && sha256sum --check --quiet --strict SHA256SUMS > /dev/null 2>&1) ||
    fail "a file in $OFFLINE is not as it was collected (sha256sum --check SHA256SUMS names it): collect it again"
  listed=$(sed 's/^[0-9a-f]*  //' "$OFFLINE/SHA256SUMS" | sort)
  # What macOS and Windows strew about on a stick is nothing that any step reads.
  found=$(cd "$OFFLINE" && find . ! -type d ! -path ./SHA256SUMS ! -name '._*' ! -name .DS_Store ! -name Thumbs.db | sort)
  [ "$listed" = "$found" ] || fail "$OFFLINE holds files that SHA256SUMS does not list, or links: collect it again"
}

# Asked once the system is known to be one that is supported: that answer comes first.
# shellcheck disable=SC2153 # RELEASE and ARCHITECTURE are set by require_supported_system
require_folder_for_this_system() {
  local release architecture
  release=$(sed -n 's/^release=//p' "$OFFLINE/collected.txt")
  architecture=$(sed -n 's/^architecture=//p' "$OFFLINE/collected.txt")
  [ "$release" = "$RELEASE" ] || refuse "$OFFLINE was collected for $release, and this is $RELEASE"
  [ "$architecture" = "$ARCHITECTURE" ] || refuse "$OFFLINE was collected for $architecture, and this system is $ARCHITECTURE"
}
