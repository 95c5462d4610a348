/* completion.c - `gossamer completion`: for each shell a few lines that ask the program itself, so
 * that what is completed is always what this program takes. */
#include "mesh/cli/cli.h"

#include "mesh/cli/complete.h"

static const char bash_text[] =
    "# bash completion of gossamer: source <(gossamer completion bash)\n"
    "_gossamer() {\n"
    "    local line=${COMP_LINE:0:COMP_POINT} words last prefix reply\n"
    "    read -ra words <<<\"$line\"\n"
    "    [[ $line == *[[:space:]] ]] && words+=(\"\")\n"
    "    last=${words[${#words[@]}-1]}\n"
    "    prefix=${last%\"${last##*[=:]}\"} # bash has cut the word there\n"
    "    COMPREPLY=()\n"
    "    while IFS=$'\\t' read -r reply _; do\n"
    "        if [[ $reply == :files ]]; then\n"
    "            compopt -o filenames 2>/dev/null\n"
    "            while IFS= read -r reply; do\n"
    "                COMPREPLY+=(\"$reply\")\n"
    "            done < <(compgen -f -- \"${last#\"$prefix\"}\")\n"
    "        else\n"
    "            COMPREPLY+=(\"${reply#\"$prefix\"}\")\n"
    "        fi\n"
    "    done < <(\"${words[0]/#\\~/$HOME}\" completion words -- \"${words[@]:1}\" 2>/dev/null)\n"
    "    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then\n"
    "        compopt -o nospace 2>/dev/null\n"
    "    fi\n"
    "}\n"
    "complete -F _gossamer gossamer\n";

static const char zsh_text[] = "#compdef gossamer\n"
                               "# zsh completion of gossamer: source <(gossamer completion zsh), "
                               "or a file _gossamer in fpath\n"
                               "_gossamer() {\n"
                               "    local line word\n"
                               "    local -a described open\n"
                               "    while IFS= read -r line; do\n"
                               "        word=${line%%$'\\t'*}\n"
                               "        case $word in\n"
                               "        :files) _files ;;\n"
                               "        *=) open+=(\"$word\") ;;\n"
                               "        ?*) described+=(\"${word//:/\\\\:}:${line#*$'\\t'}\") ;;\n"
                               "        esac\n"
                               "    done < <(\"${words[1]/#\\~/$HOME}\" completion words -- "
                               "\"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
                               "    (( ${#open} )) && compadd -S '' -- $open\n"
                               "    (( ${#described} )) && _describe gossamer described\n"
                               "    return 0\n"
                               "}\n"
                               "if [[ ${funcstack[1]} == _gossamer ]]; then\n"
                               "    _gossamer \"$@\"\n"
                               "else\n"
                               "    compdef _gossamer gossamer\n"
                               "fi\n";

static const char fish_text[] =
    "# fish completion of gossamer: gossamer completion fish | source\n"
    "function __gossamer_words\n"
    "    set -l words (commandline -opc) (commandline -ct)\n"
    "    for line in ($words[1] completion words -- $words[2..-1] 2>/dev/null)\n"
    "        if test \"$line\" = ':files'\n"
    "            __fish_complete_path (commandline -ct)\n"
    "        else\n"
    "            echo $line\n"
    "        end\n"
    "    end\n"
    "end\n"
    "complete -c gossamer -f -a '(__gossamer_words)'\n";

int
cmd_completion(int argc, char **argv)
{
    static const struct {
        const char *name, *text;
    } shells[] = { { "bash", bash_text }, { "zsh", zsh_text }, { "fish", fish_text } };
    const struct cli_command cmd = {
        .name = "completion",
        .operands = "bash|zsh|fish",
        .help = "Print what makes a shell complete verbs, options, and the names of nodes,\n"
                "services and objects that the node knows:\n"
                "  bash  source <(gossamer completion bash)\n"
                "  zsh   source <(gossamer completion zsh)\n"
                "  fish  gossamer completion fish | source",
        .operands_min = 1,
        .operands_max = CLI_TEXTS_MAX,
    };
    int operands;
    int code = cli_parse(&cmd, argc, argv, &operands);

    if (code != CLI_GO_ON)
        return code;
    if (strcmp(argv[1], "words") == 0) { /* what the shells ask */
        complete(argv + 2, operands - 1);
        return CLI_GOOD;
    }
    for (size_t i = 0; operands == 1 && i < GS_COUNT(shells); i++) {
        if (strcmp(argv[1], shells[i].name) != 0)
            continue;
        cli_print(gs_slice_str(shells[i].text));
        return CLI_GOOD;
    }
    return cli_fail(CLI_USAGE, "gossamer completion bash, zsh or fish",
                    "completion: there is nothing for \"%s\"", argv[operands > 1 ? 2 : 1]);
}
