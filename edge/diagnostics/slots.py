"""The slots: which bundle serves, whether it is on trial, and whether this device went back from one."""

from collections.abc import Sequence

from edge.system.machine import Finding, Machine

_CHANGES = ("installed", "confirmed", "fell_back", "rolled_back")


def slots(machine: Machine) -> Sequence[Finding]:
    """What `edge slots` shows, in a line or two."""
    from edge.bundle.provenance import BY_LAXER_POLICY, ON_SYNTHETIC
    from edge.bundle.trusted import TrustedKeys
    from edge.errors import LeukoscopeError
    from edge.serving.update.slots import Slots, default_slots
    from edge.serving.update.status import status

    try:
        found = status(Slots(default_slots()), TrustedKeys.load(machine.keys))
    except LeukoscopeError as error:
        return [Finding("slots", "missing", str(error), "start the service, or `edge update SOURCE`")]
    if not found.populated:
        return [Finding("slots", "ok", f"{found.folder}: nothing was installed; the shipped bundle runs")]
    if not found.sound or found.current is None:
        cure = "the next start of the service falls back to the other slot; `edge update SOURCE` installs a sound one"
        return [Finding("slots", "missing", found.fault or "no slot serves", cure)]
    slot = found.current[0]
    spare = "b" if slot == "a" else "a"
    current, other = found.slots[slot], found.slots[spare]
    text = f"{found.current} version {(current and current.version) or 'unsigned'}; "
    text += f"{ON_SYNTHETIC}; " if current and current.synthetic_certificate else ""
    text += f"{BY_LAXER_POLICY}: {current.lax_policy}; " if current and current.lax_policy else ""
    text += f"{current.acceptance}; " if current and current.acceptance else ""
    text += f"{spare} holds version {other.version or 'unsigned'}" if other else f"{spare} is empty"
    findings = [Finding("slots", "ok", text)]
    if found.on_trial:
        cure = "a running service confirms it by itself; `edge rollback` goes back"
        findings = [Finding("slots", "warning", f"{text}; the first is on trial", cure)]
    changes = [each for each in found.history if each["what"] in _CHANGES]
    if changes and changes[-1]["what"] in ("fell_back", "rolled_back"):
        last = changes[-1]
        said = f"{last['utc'][:19]}Z {last['what'].replace('_', ' ')}: {last.get('why', '')}"
        cure = "report it to whoever signs the bundles; `edge slots` tells more"
        findings.append(Finding("last change of the slots", "warning", said, cure))
    return findings
