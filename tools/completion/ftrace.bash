# SPDX-License-Identifier: MIT
# bash completion for ftrace. Commands and options are read from the --help texts, so that they are
# those of the ftrace that is run.

# The options of "ftrace $2" (program $1), one a line; those that take an argument end with "=".
_ftrace_options()
{
	"$1" "$2" --help 2>/dev/null |
		sed -nE '/^ {1,8}-/{
			s/^ *//
			s/   *.*//
			/=/{ s/=.*//; s/, /=\n/g; s/$/=/; p; b }
			s/, /\n/g
			p
		}'
}

# The path of the recording chosen so far on the line.
_ftrace_recording()
{
	local i

	for ((i = 2; i < ${#COMP_WORDS[@]} - 1; i++)); do
		case ${COMP_WORDS[i]} in
		-i | --input) echo "${COMP_WORDS[i + 1]}"; return ;;
		esac
	done
	echo ftrace.data
}

# Names of functions in that recording.
_ftrace_functions()
{
	"$1" report -i "$(_ftrace_recording)" --csv 2>/dev/null | sed -nE '2,$s/^"?([A-Za-z_][A-Za-z0-9_]*)"?,.*/\1/p'
}

_ftrace()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local program=${COMP_WORDS[0]} command=${COMP_WORDS[1]} options word i

	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -W "--help --version $("$program" --help 2>/dev/null |
			sed -nE '/^Commands:/,/^$/s/^  ([a-z]+) .*/\1/p')" -- "$cur"))
		return
	fi

	options=$(_ftrace_options "$program" "$command")
	if [ "$command" = record ] || [ "$command" = list ]; then
		# Behind the traced program's name its own completion takes over.
		for ((i = 2; i < COMP_CWORD; i++)); do
			word=${COMP_WORDS[i]}
			case $word in
			--) i=$((i + 1)); break ;;
			-*) grep -qxe "$word=" <<<"$options" && i=$((i + 1)) ;;
			*) break ;;
			esac
		done
		if [ "$i" -lt "$COMP_CWORD" ] && [ "$command" = record ] &&
		   declare -F _command_offset >/dev/null; then
			_command_offset "$i"
			return
		fi
	fi

	if [[ $prev == -* ]] && grep -qxe "$prev=" <<<"$options"; then
		case $prev in
		--tracer) COMPREPLY=($(compgen -W "function_graph function profile stack nop" -- "$cur")) ;;
		--color) COMPREPLY=($(compgen -W "auto always never" -- "$cur")) ;;
		-s | --sort)
			COMPREPLY=($(compgen -W "calls total self min avg max p50 p90 p99 name" -- "$cur")) ;;
		-F | --filter | -N | --notrace | -G | --graph-function)
			[ "$command" = record ] ||
				COMPREPLY=($(compgen -W "$(_ftrace_functions "$program")" -- "$cur")) ;;
		-o | --output | -i | --input) COMPREPLY=($(compgen -d -- "$cur")) ;;
		-D | --depth | -t | --threshold | -n | --limit | --time-range | --tid | --pid | \
		--max-size | --buffer | --wait | --duration | --timeout | -e | --event | -A | --argument | \
		-R | --retval) ;;
		--trigger) COMPREPLY=($(compgen -W "traceon traceoff stacktrace" -- "$cur")) ;;
		*) COMPREPLY=($(compgen -f -- "$cur")) ;;
		esac
		return
	fi
	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "${options//=/}" -- "$cur"))
	elif [ "$command" = record ] && [[ $cur != */* ]]; then
		COMPREPLY=($(compgen -c -- "$cur"))
	elif [ "$command" = patch ] && [ "$COMP_CWORD" -eq 2 ]; then
		COMPREPLY=($(compgen -W "apply revert force list status check stamp" -- "$cur"))
	elif [ "$command" = graph ]; then
		COMPREPLY=($(compgen -W "$(_ftrace_functions "$program")" -- "$cur"))
	else
		COMPREPLY=($(compgen -f -- "$cur"))
	fi
}

complete -o filenames -o bashdefault -F _ftrace ftrace
