"""Scripts that complete a command's words at a shell's prompt: `edge --completion bash`."""

from collections.abc import Mapping, Sequence

SHELLS = ("bash", "zsh", "fish")

_BASH = """# {name}: put this into ~/.bashrc:  source <({name} --completion bash)
_{name}_complete() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} words="{commands} --help --version"
    if [ "$COMP_CWORD" -gt 1 ]; then
        case ${{COMP_WORDS[1]}} in
{cases}
            *) words="" ;;
        esac
        [[ $word == -* ]] || words=""
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    [ ${{#COMPREPLY[@]}} -gt 0 ] || COMPREPLY=($(compgen -f -- "$word"))
}}
complete -o filenames -F _{name}_complete {name}"""

_ZSH = "autoload -U +X compinit bashcompinit && compinit && bashcompinit\n"


def script(shell: str, name: str, options: Mapping[str, Sequence[str]]) -> str:
    """The script for one of SHELLS.

    Args:
        name: of the console script.
        options: of each command, with their dashes.

    >>> print(script("fish", "edge", {"doctor": ["--json"]}).splitlines()[-1])
    complete -c edge -n '__fish_seen_subcommand_from doctor' -l json
    """
    if shell == "fish":
        return _fish(name, options)
    cases = "\n".join(f'            {word}) words="{" ".join(own)}" ;;' for word, own in options.items())
    bash = _BASH.format(name=name, commands=" ".join(options), cases=cases)
    if shell == "bash":
        return bash
    return _ZSH + bash.replace("~/.bashrc", "~/.zshrc").replace("--completion bash)", "--completion zsh)")


def _fish(name: str, options: Mapping[str, Sequence[str]]) -> str:
    lines = [f"# {name}: put this into ~/.config/fish/completions/{name}.fish"]
    none_yet = f"not __fish_seen_subcommand_from {' '.join(options)}"
    lines += [f"complete -c {name} -n '{none_yet}' -a {word}" for word in options]
    for word, own in options.items():
        lines += [f"complete -c {name} -n '__fish_seen_subcommand_from {word}' -l {o.lstrip('-')}" for o in own]
    return "\n".join(lines)
