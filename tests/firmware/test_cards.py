"""Cameras in config.txt, the read-only root, the first start by cloud-init, and an image made of files."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.firmware import paper_roots as firmware
from tests.firmware.paper_roots import FSTAB, SCRIPTS, STANZA, Told, paper_root, run, tree
from tests.firmware.rpi_overlays import OVERLAYS as KERNEL_OVERLAYS

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="these scripts change a system as root only")
STOCK = "# stock\ndtparam=audio=on\ncamera_auto_detect=1\n\n[cm5]\ndtoverlay=dwc2,dr_mode=host"  # no newline at the end
OVERLAYS = {"v1": "ov5647", "v2": "imx219", "v3": "imx708", "hq": "imx477", "gs": "imx296", "ov9281": "ov9281"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.txt"
    path.write_text(STOCK)
    return path


def set_camera(config: Path, *words: object) -> Told:
    return run("camera/set-camera.sh", *words, "--config", config)


@needs_root
@pytest.mark.parametrize(("camera", "overlay"), OVERLAYS.items())
def test_a_camera_is_named_once(config: Path, camera: str, overlay: str) -> None:
    assert set_camera(config, "auto").code == 0
    assert set_camera(config, camera).code == 0
    text = config.read_text()
    assert text.startswith(STOCK + "\n")
    block = text.removeprefix(STOCK + "\n").splitlines()
    assert block[1:-1] == ["[all]", "camera_auto_detect=0", f"dtoverlay={overlay}"]  # out of [cm5]; in place of auto
    again = set_camera(config, camera)
    assert (again.code, "nothing changed" in again.out, config.read_text()) == (0, True, text)
    assert set_camera(config, "none").code == 0
    assert config.read_text() == STOCK + "\n"


def words_of_cameras() -> list[str]:
    """What --help lists under CAMERA, but for the two that name no overlay."""
    told = run("camera/set-camera.sh", "--help").out
    listed = told.partition("CAMERA is one of\n")[2].partition("\n\n")[0]
    return [line.split()[0] for line in listed.splitlines() if line.split()[0] not in {"auto", "none"}]


@needs_root
def test_every_overlay_and_word_is_one_of_raspberry_pi_s_kernel(config: Path) -> None:
    cameras = words_of_cameras()
    assert len(cameras) == 10 and {*OVERLAYS} < {*cameras}
    for camera in cameras:
        for port in ([], ["--port", "0"]):
            assert set_camera(config, camera, *port).code == 0
            block = config.read_text().removeprefix(STOCK)
            [line] = [line for line in block.splitlines() if line.startswith("dtoverlay=")]
            overlay, *words = line.removeprefix("dtoverlay=").split(",")
            assert {word.partition("=")[0] for word in words} <= KERNEL_OVERLAYS[overlay], line
            assert ("cam0" in words) == bool(port)


@needs_root
def test_a_port_and_a_rehearsal(config: Path) -> None:
    told = set_camera(config, "hq", "--port", "0", "--dry-run")
    assert (told.code, "dtoverlay=imx477,cam0" in told.out, config.read_text()) == (0, True, STOCK)
    assert set_camera(config, "hq", "--port", "0").code == 0
    assert "dtoverlay=imx477,cam0\n" in config.read_text()


@needs_root
@pytest.mark.parametrize(
    "words", [[], ["hq2"], ["hq", "v2"], ["hq", "--port", "2"], ["auto", "--port", "0"], ["hq", "--port"]]
)
def test_a_wrong_camera_changes_nothing(config: Path, words: list[str]) -> None:
    told = set_camera(config, *words)
    assert (told.code, told.err.count("\n"), config.read_text()) == (2, 1, STOCK)


@needs_root
def test_a_half_block_is_not_guessed_at(config: Path) -> None:
    assert set_camera(config, "hq").code == 0
    broken = config.read_text().replace("# leukoscope camera: end\n", "dtparam=spi=on\n")
    config.write_text(broken)
    told = set_camera(config, "v2")
    assert (told.code, "mend it by hand" in told.err, config.read_text()) == (1, True, broken)
    assert run("camera/set-camera.sh", "hq", "--config", config.with_name("none")).code == 4


def with_overlayroot(root: Path, *others: str) -> Path:
    with (root / "var/lib/dpkg/status").open("a") as status:
        for package in ("overlayroot", *others):
            status.write(STANZA.format(package, "all", "0.18"))
    return root


@needs_root
def test_a_read_only_root_keeps_the_record_on_its_own_partition(tmp_path: Path) -> None:
    root = with_overlayroot(paper_root(tmp_path / "root", "trixie"), "busybox")
    told = run("read-only-root.sh", "enable", "--root", root)
    assert (told.code, "every verdict would be gone" in told.err) == (2, True)
    assert (root / "etc/fstab").read_text() == FSTAB
    assert run("read-only-root.sh", "enable", "--root", root, "--data", "LABEL=leukoscope").code == 0
    line = (root / "etc/fstab").read_text().splitlines()[-1].split()
    assert line[:3] == ["LABEL=leukoscope", "/var/lib/leukoscope", "ext4"]
    assert {"noatime", "noexec", "nosuid", "nodev"} <= set(line[3].split(","))
    assert (root / "etc/overlayroot.local.conf").read_text() == 'overlayroot="tmpfs:recurse=0"\n'
    units = root / "etc/systemd/system"
    assert "LIBMOUNT_FORCE_MOUNT2=always" in (units / "systemd-remount-fs.service.d/50-leukoscope.conf").read_text()
    assert "remount,ro /media/root-ro" in (units / "leukoscope-root-below.service").read_text()
    assert (units / "local-fs.target.wants/leukoscope-root-below.service").is_symlink()
    status = run("read-only-root.sh", "status", "--root", root)
    assert "at the next start: it is read-only under an overlay in memory" in status.out
    assert "has a partition of its own" in status.out
    before = tree(root)
    again = run("read-only-root.sh", "enable", "--root", root)
    assert (again.code, again.out.splitlines()[-1], tree(root)) == (
        0,
        "nothing changed: all of it was so already",
        before,
    )
    assert run("read-only-root.sh", "disable", "--root", root).code == 0
    assert "it can be written to" in run("read-only-root.sh", "status", "--root", root).out


@needs_root
def test_a_read_only_root_needs_its_package_and_a_device(tmp_path: Path) -> None:
    root = paper_root(tmp_path / "root")
    told = run("read-only-root.sh", "enable", "--root", root, "--data", "LABEL=leukoscope")
    assert (told.code, "apt install overlayroot" in told.err) == (4, True)
    bare = with_overlayroot(paper_root(tmp_path / "bare"))  # its script in the initramfs would find no grep
    told = run("read-only-root.sh", "enable", "--root", bare, "--data", "LABEL=leukoscope")
    assert (told.code, "apt install busybox; update-initramfs -u" in told.err) == (4, True)
    assert (bare / "etc/fstab").read_text() == FSTAB
    for words in (["enable", "--data", "sda1"], ["enable", "disable"], [], ["status", "--data", "LABEL=x"]):
        assert run("read-only-root.sh", *words, "--root", root).code == 2
    assert (root / "etc/fstab").read_text() == FSTAB


CLOUD = SCRIPTS / "cloud-init"


def yaml(path: Path) -> object:
    """YAML by the system's Python, which has the reader that cloud-init itself uses."""
    read = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)"
    done = subprocess.run(["/usr/bin/python3", "-c", read, path], capture_output=True, text=True, check=False)
    if "No module named 'yaml'" in done.stderr or "No such file" in done.stderr:
        pytest.skip("the system's Python has no YAML (apt install python3-yaml)")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_first_start_installs_from_the_card() -> None:
    assert (CLOUD / "user-data").read_text().startswith("#cloud-config\n")  # cloud-init ignores a file without it
    data = yaml(CLOUD / "user-data")
    assert isinstance(data, dict)
    [command] = data["runcmd"]
    assert command[0] == "bash"
    assert command[1] == "/boot/firmware/leukoscope/firmware_scripts/install.sh"
    words = [*command[2:], "--dry-run"]
    words[words.index("/boot/firmware/leukoscope")] = "/nowhere"
    told = run("install.sh", *words)  # every word is known; only the folder is not here
    assert (told.code, "/nowhere" in told.err) == (2, True)
    assert data["ssh_pwauth"] is False
    [user] = data["users"]
    assert user["lock_passwd"] is True
    assert "REPLACE" in user["ssh_authorized_keys"][0]
    network = yaml(CLOUD / "network-config")
    assert isinstance(network, dict)
    assert network["network"]["ethernets"]["eth0"]["optional"] is True  # it starts without a network
    assert isinstance(yaml(CLOUD / "meta-data"), dict)


@pytest.mark.slow
def test_cloud_init_s_own_schema_holds(tmp_path: Path) -> None:
    """The schema of the release that Raspberry Pi OS has: trixie's."""
    import jsonschema

    fetched = subprocess.run(
        ["apt-get", "download", "-qq", "cloud-init"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    packages = list(tmp_path.glob("*.deb"))
    if not packages:
        pytest.skip(f"apt does not serve cloud-init here: {fetched.stderr.strip()[-200:]}")
    subprocess.run(["dpkg", "-x", packages[0], tmp_path / "deb"], check=True)
    [schema] = (tmp_path / "deb").rglob("schema-cloud-config-v1.json")
    data = yaml(CLOUD / "user-data")
    validator = jsonschema.Draft4Validator(json.loads(schema.read_text()))
    assert [error.message for error in validator.iter_errors(data)] == []
    assert isinstance(data, dict)
    wrong = data | {"runcmd": "install.sh --offline"}  # negative control
    assert list(validator.iter_errors(wrong))


def test_an_image_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    folder = tmp_path / "collected"
    folder.mkdir()
    (folder / "collected.txt").write_text("release=trixie\narchitecture=arm64\npython=3.13\nimage=no\n")
    image = tmp_path / "card.img"
    told = run("image/build.sh", "--offline", folder, "--to", image)
    assert (told.code, "without --for-image" in told.err) == (2, True)
    (folder / "collected.txt").write_text("release=trixie\narchitecture=arm64\npython=3.13\nimage=yes\n")
    for words in (
        ["--hostname", "a b"],
        ["--data-mb", "big"],
        ["--ssh-key", folder / "collected.txt"],
        ["--root-mb", "5"],
    ):
        assert run("image/build.sh", "--offline", folder, "--to", image, *words).code == 2
    told = run("image/build.sh", "--offline", folder, "--to", image, "--dry-run")
    assert (told.code, "is not as it was collected" in told.err) == (1, True)  # no SHA256SUMS at all
    assert not image.exists()


def test_collecting_refuses_what_there_is_not(tmp_path: Path) -> None:
    to = tmp_path / "to"
    for words in (
        ["--release", "noble", "--arch", "arm64", "--to", to],
        ["--release", "trixie", "--arch", "armhf", "--to", to],
        ["--release", "trixie", "--arch", "arm64"],
        ["--release", "trixie", "--arch", "arm64", "--to", SCRIPTS],
        ["--release", "trixie", "--arch", "arm64", "--to", to, "--deb", "none.deb"],
    ):
        told = run("offline/collect.sh", *words)
        assert (told.code, told.out, told.err.count("\n")) == (2, "", 1), told.err
    told = run("offline/collect.sh", "--release", "trixie", "--arch", "arm64", "--to", to, "--python", "python9")
    assert told.code == 4
    assert not to.exists()


@needs_root
@pytest.mark.slow
def test_an_image_is_built_without_a_network(tmp_path: Path) -> None:
    """Collected, built and taken apart again: three partitions, an installed instrument, a verdict in the record's."""
    for tool in ("mmdebstrap", "mkfs.vfat", "mcopy", "sfdisk", "debugfs"):
        if shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            pytest.skip(f"{tool} is not installed")
    folder, image = tmp_path / "collected", tmp_path / "card.img"
    kind = ["--release", "bookworm", "--arch", "amd64", "--for-image"]
    told = run("offline/collect.sh", *kind, "--to", folder, "--python", sys.executable)
    if told.code and re.search("lists no Debian archive|Could not (resolve|connect)|Failed to fetch", told.err):
        pytest.skip(f"no archive answers: {told.err.strip()[-200:]}")
    assert told.code == 0, told.err
    words = ["--offline", folder, "--to", image, "--hostname", "scope-1", "--read-only-root", "--", "--first-verdict"]
    done = subprocess.run(
        ["unshare", "--net", SCRIPTS / "image/build.sh", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"stored: \S+Z slide first-verdict field \d+: ", done.stdout)
    environment = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}

    def tool(*words: object) -> str:
        return subprocess.run(
            [str(word) for word in words], capture_output=True, text=True, check=True, env=environment
        ).stdout

    table = json.loads(tool("sfdisk", "-J", image))["partitiontable"]
    assert table["label"] == "dos"
    assert [part["type"] for part in table["partitions"]] == ["c", "83", "83"]
    parts = []
    for part in table["partitions"]:
        path = tmp_path / f"part{len(parts)}"
        tool(
            "dd", f"if={image}", f"of={path}", "bs=1M", f"skip={part['start'] // 2048}", f"count={part['size'] // 2048}"
        )
        parts.append(path)
    assert tool("mlabel", "-s", "-i", parts[0], "::").split()[-1] == "FIRMWARE"
    for path in parts[1:]:
        tool("e2fsck", "-fn", path)
    assert tool("debugfs", "-R", "cat /etc/hostname", parts[1]) == "scope-1\n"
    assert "tmpfs" in tool("debugfs", "-R", "cat /etc/overlayroot.local.conf", parts[1])
    assert "venvs/" in tool("debugfs", "-R", "stat /opt/leukoscope/venv", parts[1])
    assert tool("debugfs", "-R", "cat /etc/machine-id", parts[1]) == ""
    assert "ssh_host" not in tool("debugfs", "-R", "ls /etc/ssh", parts[1])
    assert "record.sqlite" in tool("debugfs", "-R", "ls /record", parts[2])
    assert firmware.run("image/build.sh", "--offline", folder, "--to", image).code == 2  # never overwritten
