#!/usr/bin/env zsh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# ask.zsh COMPLETION - for each command line on stdin what zsh would offer: "== LINE", then one
# candidate a line. zsh completes in its line editor only, so that one runs in a terminal of its own,
# with a compadd that notes what it is given.
zmodload zsh/zpty || exit 1
directory=$(mktemp -d) || exit 1
trap 'zpty -d z 2>/dev/null; rm -rf $directory' EXIT
trap 'exit 1' HUP INT TERM
ln -s ${1:A} $directory/_fantail
mkfifo $directory/answer

cat >$directory/setup <<'SETUP'
PROMPT='' fpath=($1 $fpath) answer=$1/answer
zmodload zsh/zutil
autoload -U compinit
compinit -u -D
bindkey '^U' kill-whole-line
zstyle ':completion:*' insert-tab false
compadd() {
	local -a hits before
	if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
		builtin compadd "$@"
		return
	fi
	builtin compadd -A hits "$@"
	zparseopts -E P:=before p:=before
	(( $#hits )) && noted+=(${hits/#/$IPREFIX${before[2]}})
	builtin compadd "$@"
}
ask() {
	noted=()
	zle complete-word
	print -rl -- $noted '' >$answer
}
zle -N ask
bindkey '^I' ask
SETUP

exec 3<>$directory/answer
zpty -b z zsh -f -i
zpty -w z "source $directory/setup $directory; print '' >$directory/answer"
read -t 10 -u 3 line || exit 1
while IFS= read -r query; do
	print -r -- "== $query"
	zpty -w -n z $'\x15'"$query"$'\t'
	while read -t 10 -r -u 3 line; do
		[[ -n $line ]] || break
		print -r -- $line
	done
	while zpty -r -t z line; do : ; done
done
