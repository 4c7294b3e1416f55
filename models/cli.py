"""The `models` command: the functions of its commands, each imported when it is called."""

from edge.commands.command_line import Commands, run_script

COMMANDS = Commands(
    {
        "audit": "models.commands.image_sets.audit:audit",
        "adapt": "models.commands.adapt:adapt",
        "split": "models.commands.image_sets.split:split",
        "train": "models.commands.train:train",
        "evaluate": "models.commands.evaluate:evaluate",
        "gates": "models.commands.gates:gates",
        "calibrate": "models.commands.calibrate:calibrate",
        "explain": "models.commands.explain:explain",
        "cross-validate": "models.commands.cross_validate:cross_validate",
        "card": "models.commands.card:card",
        "report": "models.commands.report:report",
        "fetch": "models.commands.image_sets.fetch:fetch",
    }
)


def main() -> None:
    """Console script."""
    run_script("models", COMMANDS)


if __name__ == "__main__":
    main()
