"""Tab completion of commands, config groups with their files, and config keys; the shell completes file names."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from addnet.commands import COMMANDS
from addnet.console import say
from addnet.errors import UserError, require_choice

SCRIPTS = {
    # readline replaces only the text after the last = or :, if these are word breaks
    "bash": """\
_addnet() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$'\\n' found cut=
    local word=${line##*[[:space:]]}
    found=($(command addnet --complete "$line" 2>/dev/null))
    [[ $COMP_WORDBREAKS == *=* ]] && cut=${word%"${word##*[=:]}"}
    COMPREPLY=("${found[@]#"$cut"}")
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -o default -F _addnet addnet
""",
    "zsh": """\
_addnet() {
    local -a found
    found=(${(f)"$(command addnet --complete "$LBUFFER" 2>/dev/null)"})
    if (( $#found )); then
        compadd -S '' -- $found
    else
        compset -P '*='
        _files
    fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _addnet addnet
""",
    "fish": """\
complete -c addnet -a '(command addnet --complete (commandline -cp) 2>/dev/null)'
""",
}


def main(asked: str, arguments: Sequence[str]) -> int:
    """Prints a shell's completion script (`--completion SHELL`) or the completions of a line (`--complete LINE`)."""
    try:
        if asked == "--complete":
            sys.stdout.writelines(f"{word}\n" for word in complete(arguments[0] if arguments else "addnet "))
        else:
            shell = require_choice("--completion", arguments[0] if arguments else None, SCRIPTS)
            sys.stdout.write(SCRIPTS[shell])
    except UserError as error:
        say(error)
        return 2
    return 0


def complete(line: str) -> list[str]:
    """Returns the possible completions of a line's last word; empty if only a file name may follow.

    Example:
        >>> complete("addnet ev")
        ['evaluate']
        >>> complete("addnet train optimizer=ad")
        ['optimizer=adam', 'optimizer=adamw']
        >>> complete("addnet train ema")
        ['ema_decay=']
    """
    _, *words = _words(line) or ["addnet"]
    word = words.pop() if words and not line[-1:].isspace() else ""
    name = next((name for name in (" ".join(words[:2]), " ".join(words[:1])) if name in COMMANDS), "")
    if name:
        found = _of_config(name, words[len(name.split()) :], word)
    else:  # a command, or one below it
        begun = "".join(f"{one} " for one in words)
        found = (full.removeprefix(begun).split()[0] for full in COMMANDS if full.startswith(begun))
    return sorted({one for one in found if one.startswith(word)})


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # within quotes
        return line.split()


def _of_config(name: str, others: Sequence[str], word: str) -> Iterator[str]:
    from addnet.config import config_dir, files_of
    from addnet.mistyped import known_keys

    if not (config := COMMANDS[name].config):
        return
    key, equal, _ = word.partition("=")
    if equal:
        if key.isidentifier() and Path(config_dir(), key).is_dir():
            yield from (f"{key}={file}" for file in files_of(key))
        return
    for known, elsewhere in known_keys(others, config_name=config).items():
        if elsewhere is None and known.startswith(word) and "_target_" not in known:
            rest, dot, _ = known[len(word) :].partition(".")
            yield f"{word}{rest}." if dot else f"{known}="
