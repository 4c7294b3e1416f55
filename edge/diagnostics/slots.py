"""The slots: which bundle serves, whether it is on trial, and whether this device went back from one."""

from collections.abc import Sequence

from edge.system.machine import Finding, Machine

_CHANGES = ("installed", "confirmed", "fell_back", "rolled_back")


def slots(machine: Machine) -> Sequence[Finding]:
    """What `edge slots` shows, in a line or two."""
    from edge.bundle.trusted import TrustedKeys
    from edge.errors import LeukoscopeError
    from edge.update.slots import Slots, default_slots
    from edge.update.status import described

    try:
        found = described(Slots(default_slots()), TrustedKeys.load(machine.keys))
    except LeukoscopeError as error:
        return [Finding("slots", "missing", str(error), "start the service, or `edge update SOURCE`")]
    if not found["populated"]:
        return [Finding("slots", "ok", f"{found['folder']}: nothing was installed; the shipped bundle runs")]
    if not found["sound"]:
        cure = "the next start of the service falls back to the other slot; `edge update SOURCE` installs a sound one"
        return [Finding("slots", "missing", str(found["fault"] or "no slot serves"), cure)]
    current, spare = found["current"], {"a": "b", "b": "a"}[found["current"][0]]
    other = found["slots"][spare]
    text = f"{current} version {found['slots'][current[0]]['version'] or 'unsigned'}; "
    text += f"{spare} holds version {other['version'] or 'unsigned'}" if other else f"{spare} is empty"
    findings = [Finding("slots", "ok", text)]
    if found["on_trial"]:
        cure = "a running service confirms it by itself; `edge rollback` goes back"
        findings = [Finding("slots", "warning", f"{text}; the first is on trial", cure)]
    changes = [each for each in found["history"] if each["what"] in _CHANGES]
    if changes and changes[-1]["what"] in ("fell_back", "rolled_back"):
        last = changes[-1]
        said = f"{last['utc'][:19]}Z {last['what'].replace('_', ' ')}: {last.get('why', '')}"
        cure = "report it to whoever signs the bundles; `edge slots` tells more"
        findings.append(Finding("last change of the slots", "warning", said, cure))
    return findings
