"""Completion of `landmarks` and of the scripts' flags, for bash and zsh."""

from __future__ import annotations

from collections.abc import Sequence

from research.core.errors import UserError, quoted

VERBS = (
    *("papers", "results", "report", "compare", "pods", "demo", "export", "completion"),
    "--help",
)
_FLAGS = "--config --workdir --arm --dry_run --print_config --help"

# Papers' names are those of the checkout that the shell is in: nothing is started for them.
_BASH = f"""
_landmarks_names() {{
  compgen -G 'experiments/*.py' | sed -e 's|^experiments/||' -e 's|[.]py$||'
}}
_landmarks() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '{" ".join(VERBS)}' -- "$word"))
    return
  fi
  case "${{COMP_WORDS[1]}}" in
    papers|pods) COMPREPLY=($(compgen -W "$(_landmarks_names)" -- "$word")) ;;
    results) COMPREPLY=($(compgen -W '--write --judge' -- "$word")) ;;
    completion) COMPREPLY=($(compgen -W 'bash zsh' -- "$word")) ;;
    report|compare|demo|export) COMPREPLY=($(compgen -d -- "$word")) ;;
  esac
}}
complete -o filenames -F _landmarks landmarks
_landmarks_script() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" i script=""
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "/${{COMP_WORDS[i]}}" in */experiments/*.py) script=yes ;; esac
  done
  COMPREPLY=()
  if [ -n "$script" ] && [ "${{word#-}}" != "$word" ]; then
    COMPREPLY=($(compgen -W '{_FLAGS}' -- "$word"))
  fi
}}
complete -o default -F _landmarks_script python python3
"""


def script(words: Sequence[str]) -> str:
    """What a shell evaluates to complete commands.

    Raises:
      UserError: no shell is named, or one that this is not written for.
    """
    match list(words):
        case ["bash"]:
            return _BASH.strip()
        case ["zsh"]:
            return "autoload -U +X bashcompinit && bashcompinit\n" + _BASH.strip()
    given = quoted(" ".join(words)) if words else "nothing"
    raise UserError(f"completion is for bash or zsh, not {given}")
