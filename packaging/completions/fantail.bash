# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# Completion of fantail for bash; needs nothing but bash 4. scripts/check-completions holds it to
# what `fantail COMMAND --help` says.

# The command line up to the cursor as fantail would get it. bash breaks words at : and =, which
# stand in names of hops and in --hop=NAME.
_fantail_words() {
	local word glue=''

	_fantail_line=()
	for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
		if [[ $word == [:=]* && ${#_fantail_line[@]} -gt 1 ]]; then
			_fantail_line[-1]+=$word
			glue=1
		elif [ -n "$glue" ]; then
			_fantail_line[-1]+=$word
			glue=''
		else
			_fantail_line+=("$word")
		fi
	done
}

_fantail_options() { # COMMAND
	local counts='--for --interval --cgroup --netns --source --max-flows'

	echo '-c --config --pins -v --verbose -h --help --version'
	case $1 in
	top) echo "$counts --once --replay" ;;
	agent) echo "$counts --textfile --keep" ;;
	show) echo '--json --hop --sort --limit' ;;
	discover) echo '--netns' ;;
	check) echo "$counts --textfile" ;;
	demo) echo '--for --interval --once --lab' ;;
	record) echo "$counts" ;;
	esac
}

# Hops of the running agent; nothing when there is none, or it may not be asked.
_fantail_hops() {
	local i pins=()

	for ((i = 1; i < ${#_fantail_line[@]} - 1; i++)); do
		[ "${_fantail_line[i]}" != --pins ] || pins=(--pins "${_fantail_line[i + 1]}")
	done
	"${_fantail_line[0]}" show hops --json "${pins[@]}" 2>/dev/null |
		grep -o '{"name":"[^"]*"' | cut -d'"' -f4
}

# Offer those of the words on stdin that begin with $1, quoted as the shell wants them, without what
# stands before bash's last word break.
_fantail_offer() {
	local cur=${1//\\/} word before=''

	[[ $1 != *[:=]* ]] || before=${1%"${1##*[:=]}"}
	while read -r word; do
		[[ -n $word && $word == "$cur"* ]] || continue
		printf -v word %q "$word"
		COMPREPLY+=("${word#"$before"}")
	done
}

_fantail_files() { # -f or -d, and the beginning
	local name

	compopt -o filenames 2>/dev/null # outside of a completion there is nothing to set
	while IFS= read -r name; do
		COMPREPLY+=("$name")
	done < <(compgen "$1" -- "$2")
}

# The argument of an option; 1 when it takes none.
_fantail_argument() { # OPTION BEGINNING
	case $1 in
	-c | --config | --textfile | --replay) _fantail_files -f "$2" ;;
	--pins | --cgroup) _fantail_files -d "$2" ;;
	--netns)
		_fantail_offer "$2" < <(printf '%s\n' all own; compgen -G '/run/netns/*')
		[[ $2 != /* ]] || _fantail_files -f "$2"
		;;
	--source) _fantail_offer "$2" < <(printf '%s\n' tracepoint sockops) ;;
	--sort) _fantail_offer "$2" < <(printf '%s\n' age idle unread hop state remote) ;;
	--hop) _fantail_offer "$2" < <(_fantail_hops) ;;
	--for | --interval | --max-flows | --limit) ;;
	*) return 1 ;;
	esac
}

# How many words before the cursor are no options and not their arguments.
_fantail_operands() {
	local i n=0

	for ((i = 2; i < ${#_fantail_line[@]} - 1; i++)); do
		case ${_fantail_line[i]} in
		-c | --config | --textfile | --replay | --pins | --cgroup | --netns | --source | --sort | --hop | \
			--for | --interval | --max-flows | --limit) i=$((i + 1)) ;;
		-*) ;;
		*) n=$((n + 1)) ;;
		esac
	done
	echo "$n"
}

_fantail_operand() { # COMMAND BEGINNING
	[ "$(_fantail_operands)" -eq 0 ] || return
	case $1 in
	show) _fantail_offer "$2" < <(printf '%s\n' hops edges flows pairs listeners ports loss) ;;
	record) _fantail_files -f "$2" ;;
	esac
}

_fantail() {
	local cur command _fantail_line

	COMPREPLY=()
	_fantail_words
	cur=${_fantail_line[-1]}
	command=${_fantail_line[1]}
	[[ $command != -* ]] || command=top
	if [[ ${#_fantail_line[@]} -gt 2 ]] && _fantail_argument "${_fantail_line[-2]}" "$cur"; then
		return
	elif [[ $cur == --*=* ]]; then
		_fantail_argument "${cur%%=*}" "${cur#*=}"
	elif [[ $cur == -* ]]; then
		_fantail_offer "$cur" < <(_fantail_options "$command" | tr ' ' '\n')
	elif [ ${#_fantail_line[@]} -eq 2 ]; then
		_fantail_offer "$cur" < <(printf '%s\n' top agent show discover check demo record detach \
			version help)
	else
		_fantail_operand "$command" "$cur"
	fi
}

complete -F _fantail fantail
