"""The `convert` command: its words, each with the function that its help and its request come from."""

from edge.commands.command_line import Commands, run_script

COMMANDS = Commands(
    {
        "quantize": "convert.commands.quantize:quantize",
        "parity": "convert.commands.parity:parity",
        "calibration": "convert.commands.calibration:calibration",
        "inspect": "convert.commands.inspect:inspect",
        "diagnose": "convert.commands.diagnose:diagnose",
        "pareto": "convert.commands.pareto:pareto",
        "compile": "convert.commands.compile:compile_",
        "accept": "convert.commands.accept:accept",
        "gates": "convert.commands.renew:gates",
        "golden": "convert.commands.renew:golden",
        "summary": "convert.commands.summary:summary",
        "keygen": "convert.commands.sign:keygen",
        "sign": "convert.commands.sign:sign",
        "verify": "convert.commands.verify:verify",
        "pack": "convert.commands.pack:pack",
        "publish": "convert.commands.publish:publish",
    }
)


def main() -> None:
    """Console script `convert`."""
    run_script("convert", COMMANDS)


if __name__ == "__main__":
    main()
