"""Overlays of camera modules in Raspberry Pi's kernel, as far as `set-camera.sh` names them.

Read in the repository raspberrypi/linux, folder arch/arm/boot/dts/overlays: README at commit
00322b31737881b2b56fbdbc377160933802a7cf, and imx500-overlay.dts, which is newer, at
2fcc68dcd2286849962bf411c0a37bdaa0534bf2.
The package of that kernel is in Raspberry Pi's archive alone, which no Debian mirror carries; Debian's raspi-firmware
has two overlays, none of them a camera's.
"""

# Name of the overlay: what may follow it in `dtoverlay=`.
SENSOR = frozenset({"rotation", "orientation", "media-controller", "cam0"})
OVERLAYS = {
    "imx219": SENSOR | {"vcm"},
    "imx290": SENSOR | {"4lane", "clock-frequency", "mono"},
    "imx296": SENSOR | {"clock-frequency", "always-on"},
    "imx327": SENSOR | {"4lane", "clock-frequency", "mono"},
    "imx462": SENSOR | {"4lane", "clock-frequency", "mono"},
    "imx477": SENSOR | {"always-on"},
    "imx500": SENSOR | {"bypass-cache"},
    "imx708": SENSOR | {"vcm", "link-frequency"},
    "ov5647": SENSOR | {"vcm"},
    "ov9281": SENSOR,
}
