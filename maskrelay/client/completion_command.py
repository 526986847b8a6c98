"""The command `completion`, which prints a script that completes commands and options in a shell."""

import argparse
import shlex
from collections.abc import Iterator
from functools import partial
from typing import Any

from maskrelay.client.output import out

_BASH = """\
_maskrelay() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} command= words= index
  for ((index = 1; index < COMP_CWORD; index++)); do
    case ${{COMP_WORDS[index]}} in
      {commands}) command=${{COMP_WORDS[index]}}; break ;;
    esac
  done
  case $command in
    '') words={first} ;;
{cases}
  esac
  COMPREPLY=()
  if [[ -z $command || $word == -* ]]; then
    while IFS= read -r index; do COMPREPLY+=("$index"); done < <(compgen -W "$words" -- "$word")
  fi
}}
complete -o default -F _maskrelay maskrelay"""
_SHELLS = ("bash", "zsh", "fish")


def add(subparsers: Any, parser: argparse.ArgumentParser) -> None:
    """Add the command. It completes all commands and options that `parser` has when the command runs."""
    what = "print a script that completes commands and options in your shell"
    completion = subparsers.add_parser(
        "completion", help=what, description=what, epilog="For bash: source <(maskrelay completion bash)"
    )
    completion.add_argument("shell", choices=_SHELLS)
    completion.set_defaults(run=partial(_print, parser))


def _print(parser: argparse.ArgumentParser, given: argparse.Namespace) -> int:
    commands = dict(_commands(parser))
    if given.shell == "fish":
        out(_fish(commands))
    else:
        first = "autoload -U +X compinit bashcompinit && compinit && bashcompinit\n" if given.shell == "zsh" else ""
        out(first + _bash(parser, commands))
    return 0


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, tuple[str, argparse.ArgumentParser]]]:
    """Yield the help text and the parser of each command by its name."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to read a parser
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            texts = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            yield from ((name, (texts.get(name, ""), command)) for name, command in action.choices.items())


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return [option for action in parser._actions for option in action.option_strings]  # noqa: SLF001


def _bash(parser: argparse.ArgumentParser, commands: dict[str, tuple[str, argparse.ArgumentParser]]) -> str:
    cases = "\n".join(
        f"    {name}) words={shlex.quote(' '.join(_options(command)))} ;;" for name, (_, command) in commands.items()
    )
    first = shlex.quote(" ".join([*commands, *_options(parser)]))
    return _BASH.format(commands="|".join(commands), first=first, cases=cases)


def _fish(commands: dict[str, tuple[str, argparse.ArgumentParser]]) -> str:
    lines = []
    for name, (text, command) in commands.items():
        lines.append(f"complete -c maskrelay -n __fish_use_subcommand -a {name} -d {shlex.quote(text)}")
        for option in _options(command):
            kind = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
            lines.append(f"complete -c maskrelay -n '__fish_seen_subcommand_from {name}' {kind}")
    return "\n".join(lines)
