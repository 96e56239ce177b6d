# private_names.cmake - gives the private names of an archive a prefix, so that programs may use the same names.
#
# usage: cmake -D ARCHIVE=libmems.a -D PREFIX=mems__ -D READELF=readelf -D OBJCOPY=objcopy -P private_names.cmake
#
# A library's objects share hidden names, which a shared library keeps to itself. In an archive the linker sees ordinary
# names: a program's own function `fault` would replace the library's. So we rename them in every member. The members
# remain separate, so the linker takes only those that a program needs. Debuggers still show the original names, from
# the debugging information. A second run changes nothing.

# run(COMMAND...) - stores its output in ${output}.
function(run)
    execute_process(COMMAND ${ARGV} OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
    set(output "${text}" PARENT_SCOPE)
endfunction()

run(${READELF} --wide --symbols ${ARCHIVE})
string(REGEX MATCHALL "(GLOBAL|WEAK) +(HIDDEN|INTERNAL) [^\n]*" symbols "${output}")
list(FILTER symbols EXCLUDE REGEX " UND ")
list(TRANSFORM symbols REPLACE ".* " "")
list(REMOVE_DUPLICATES symbols)
# The mark that <sys/sdt.h> gives to every object with probes. All objects of a program share one by this name, those of
# libstdc++ too, and gold refuses a program whose objects call it differently.
list(FILTER symbols EXCLUDE REGEX "^_[.]stapsdt[.]base$")
# With -flto there is bytecode instead of machine code, and no symbols to rename.
if(NOT symbols)
    message(FATAL_ERROR "${ARCHIVE}: no hidden symbols; were its objects compiled with -flto?")
endif()
list(FILTER symbols EXCLUDE REGEX "^${PREFIX}")
if(NOT symbols)
    return()
endif()

list(TRANSFORM symbols REPLACE "(.+)" "\\1 ${PREFIX}\\1\n")
list(JOIN symbols "" map)
file(WRITE ${ARCHIVE}.names "${map}")
run(${OBJCOPY} --redefine-syms=${ARCHIVE}.names ${ARCHIVE})
file(REMOVE ${ARCHIVE}.names)
