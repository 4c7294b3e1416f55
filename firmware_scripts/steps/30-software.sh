# shellcheck shell=bash
# software: an environment in /opt/leukoscope, from the locked wheels with their hashes; the running one is replaced by a link

software_check() {
  if [ -n "$OFFLINE" ]; then
    [ -r "$OFFLINE/$(lock)" ] || refuse "$OFFLINE holds no $(lock): it was collected before there was a page; collect it again"
    return 0
  fi
  [ -r "$SOURCES/pyproject.toml" ] && [ -r "$SOURCES/requirements/$(lock)" ] ||
    refuse "$SOURCES is no clone of Leukoscope: run install.sh from one, or give --offline FOLDER"
}

# Each set of wheels has an environment of its own, named by what is in it; /opt/leukoscope/venv is a link to the one in use.
# So a cut-off installation leaves the old one working, and what is complete is known by its mark.
software_do() {
  local name target
  name=$(recipe)
  target=$PREFIX/venvs/$name
  if [ ! -e "$ROOT$target/.complete" ]; then
    [ "$DRY_RUN" = yes ] || require_inside
    act "make the environment $target (python$PYTHON, system packages visible)" make_environment "$target"
    [ "$DRY_RUN" = yes ] || : > "$ROOT$target/.complete"
    remember environment "$target"
  fi
  put_link "$PREFIX/venv" "venvs/$name"
  put_link /usr/local/bin/edge "$PREFIX/venv/bin/edge"
}

# The locked wheels: the device's, or with the bench page its own as well.
lock() { if [ "$PAGE" = yes ]; then echo page.lock; else echo device.lock; fi; }

# Twelve digits over all that decides what is installed.
recipe() {
  {
    echo "python$PYTHON $ARCHITECTURE"
    if [ -n "$OFFLINE" ]; then
      (cd "$OFFLINE" && cat "$(lock)" && sha256sum leukoscope-*.whl)
    else
      (cd "$SOURCES" && cat pyproject.toml "requirements/$(lock)" && list_sources | xargs -0 sha256sum)
    fi
  } | sha256sum | cut -c 1-12
}

list_sources() { find edge models convert -type f ! -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z; }

make_environment() {
  local target=$1 lock wheel from=()
  rm -rf "$ROOT${target:?}"
  open_work
  if [ -n "$OFFLINE" ]; then
    lock=$INSIDE/offline/$(lock)
    wheel=$(cd "$OFFLINE" && echo leukoscope-*.whl)
    wheel=$INSIDE/offline/$wheel
    from=(--no-index --find-links "$INSIDE/offline/wheels")
  else
    cp "$SOURCES/requirements/$(lock)" "$WORK/device.lock"
    lock=$INSIDE/device.lock
    build_wheel
    wheel=$INSIDE/$(cd "$WORK" && echo leukoscope-*.whl)
  fi
  in_root mkdir -p "$(dirname "$target")"
  quietly in_root python3 -m venv --system-site-packages "$target"
  # The hashes of the lock are checked; nothing is resolved, nothing is built, and a package of the system that happens
  # to have the right version is not taken for the locked one.
  quietly in_root "$target/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --only-binary=:all: --ignore-installed --no-cache-dir "${from[@]}" -r "$lock"
  quietly in_root "$target/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-index "$wheel"
  check_environment "$target"
}

# The wheel of the clone, built in an environment of its own from the locked setuptools: no build tool comes unchecked.
build_wheel() {
  mkdir -p "$WORK/source"
  (cd "$SOURCES" && cp pyproject.toml README.md LICENSE "$WORK/source/" &&
    list_sources | tar --null --files-from - --create --file - | tar --extract --file - -C "$WORK/source")
  awk '/^setuptools==/ {on = 1} on && !/^[a-z ]/ {exit} on && /^ *#/ {exit} on {print}' \
    "$SOURCES/requirements/dev.lock" > "$WORK/build.lock"
  quietly in_root "${PYTHON_HERE:-python3}" -m venv "$INSIDE/build"
  quietly in_root "$INSIDE/build/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --only-binary=:all: --no-cache-dir -r "$INSIDE/build.lock"
  quietly in_root "$INSIDE/build/bin/python" -m pip wheel --quiet --disable-pip-version-check --no-deps --no-index \
    --no-build-isolation --wheel-dir "$INSIDE" "$INSIDE/source"
}

# System packages are visible for libcamera's sake, and must not replace what was locked.
check_environment() {
  in_root "$1/bin/python" -I -c '
import sys, numpy, cv2
import edge
wrong = [m.__name__ for m in (numpy, cv2, edge) if not m.__file__.startswith(sys.prefix + "/")]
sys.exit(f"{wrong} came from the system and not from {sys.prefix}" if wrong else 0)'
  in_root "$1/bin/edge" --help > /dev/null
}
