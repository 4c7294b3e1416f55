"""A machine with an Edge TPU laid out as files, and a library that is libedgetpu by name and fails as it is told to."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.system.machine import Machine

SOURCE = r"""
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* TfLiteDelegate, tensorflow/lite/core/c/common.h */
struct Delegate {
  void* data;
  int (*prepare)(void* context, struct Delegate* self);
  void* copy_from;
  void* copy_to;
  void* free_handle;
  int64_t flags;
  void* builder;
};
static int nothing(void* context, struct Delegate* self) { return 0; }
static int refuse(void* context, struct Delegate* self) { return 2; }
const char* edgetpu_version(void) { return "BuildLabel(COMPILER=fake), RuntimeVersion(14)"; }
struct Delegate* tflite_plugin_create_delegate(char** keys, char** values, size_t count, void (*report)(const char*)) {
  const char* mode = getenv("FAKE_EDGETPU");
  struct Delegate* made;
  if (mode == NULL || strcmp(mode, "null") == 0) return NULL;
  if (strcmp(mode, "report") == 0) { report("fake: the device does not answer"); return NULL; }
  if (strcmp(mode, "crash") == 0) raise(SIGSEGV);
  made = calloc(1, sizeof(*made));
  made->prepare = strcmp(mode, "refuse") == 0 ? refuse : nothing;
  return made;
}
void tflite_plugin_destroy_delegate(struct Delegate* delegate) { free(delegate); }
"""


def library(folder: Path, source: str = SOURCE) -> Path:
    """`libedgetpu.so.1`, built with the C compiler that is here; skips where none is."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to build a stand-in for libedgetpu with")
    folder.mkdir(parents=True, exist_ok=True)
    code, made = folder / "fake.c", folder / "libedgetpu.so.1"
    code.write_text(source)
    subprocess.run([compiler, "-shared", "-fPIC", "-w", "-o", str(made), str(code)], check=True, timeout=60)
    return made


def machine(
    root: Path, *, ids: str | None = "1a6e:089a", mbit: int = 5000, mode: int = 0o666, apex: int = 0, uid: int = 1000
) -> Machine:
    """A machine with one USB Edge TPU (none for `ids` None) and `apex` PCIe ones, seen by user `uid`."""
    if ids is not None:
        device = root / "sys/bus/usb/devices/2-1"
        device.mkdir(parents=True)
        vendor, product = ids.split(":")
        facts = {"idVendor": vendor, "idProduct": product, "speed": mbit, "busnum": 2, "devnum": 3}
        for name, value in facts.items():
            (device / name).write_text(f"{value}\n")
        node = root / "dev/bus/usb/002/003"
        node.parent.mkdir(parents=True)
        node.touch()
        node.chmod(mode)
    (root / "dev").mkdir(exist_ok=True)
    for number in range(apex):
        node = root / f"dev/apex_{number}"
        node.touch()
        node.chmod(mode)
    owners = frozenset({os.getgid() + 1})  # in none of the nodes' groups
    return Machine(root=root, user="someone", uid=uid if uid != os.getuid() else uid + 1, gids=owners)
