"""dobby completion: the script that a shell loads to complete dobby's words."""

from __future__ import annotations

from dobby.cli import parsing
from dobby.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Also bash 3.2 (macOS): no mapfile, and no compopt, without which a directory gets no slash.
# The candidate's part before "=" stands on the line already, as bash parts words there; one
# with ":" would be put in wrongly, and is left out. %q: git lets a branch be called $(reboot).
BASH = """\
_dobby() {
    local IFS=$'\\n' line current="${COMP_WORDS[COMP_CWORD]}"
    [ "$current" = "=" ] && current=
    COMPREPLY=()
    while read -r line; do
        case $line in
            :files)
                compopt -o filenames 2>/dev/null
                COMPREPLY=($(compgen -f -- "$current"))
                ;;
            *:*) ;;
            --*=*) printf -v line %q "${line#*=}"; COMPREPLY+=("$line") ;;
            *) printf -v line %q "$line"; COMPREPLY+=("$line") ;;
        esac
    done < <(dobby _complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _dobby dobby
"""
ZSH = """\
#compdef dobby
_dobby() {
    local -a found
    found=("${(@f)$(dobby _complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ "$found[1]" == :files ]]; then
        _files
    elif [[ -n "$found[1]" ]]; then
        compadd -- "${found[@]}"
    fi
}
if [[ "$funcstack[1]" == _dobby ]]; then
    _dobby "$@"
else
    compdef _dobby dobby
fi
"""
FISH = """\
function __dobby_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found (dobby _complete $words[2..-1] "$current" 2>/dev/null)
    if test "$found[1]" = :files
        __fish_complete_path "$current"
    else if test (count $found) -gt 0
        printf '%s\\n' $found
    end
end
complete -c dobby -f -a '(__dobby_complete)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
EXAMPLES = """\
  eval "$(dobby completion bash)"                                  in ~/.bashrc
  eval "$(dobby completion zsh)"                                   in ~/.zshrc, after compinit
  dobby completion fish > ~/.config/fish/completions/dobby.fish
"""


def make_parser() -> parsing.Parser:
    return parsing.Parser(
        "completion",
        "Print the script that makes a shell (bash, zsh, fish) complete dobby's words. Completion\n"
        "knows verbs, options, this checkout's revisions, and the labels and hosts used from here.",
        words=("SHELL",),
        completes=(tuple(SCRIPTS),),
        examples=EXAMPLES,
    )


def main(argv: list[str], connect: Callable[..., Any]) -> int:
    from dobby.cli.streams import write_out

    shell = make_parser().parse(argv).words[0]
    if shell not in SCRIPTS:
        raise UsageError(f"there is no completion for {shell!r}", f"known: {', '.join(SCRIPTS)}")
    write_out(SCRIPTS[shell].encode())
    return 0
