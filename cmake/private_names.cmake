# private_names.cmake - gives the private names of an archive a prefix, so that a program may use the same names.
#
# usage: cmake -D ARCHIVE=libmems.a -D PREFIX=mems__ -D READELF=readelf -D OBJCOPY=objcopy -P private_names.cmake
#
# The names that the objects of a library share are hidden, and a shared library keeps them to itself. In an archive
# they are ordinary names to the linker: a program's own function `fault` would replace the library's. So we rename them
# in every member. The members stay separate, so that the linker takes only those that the program needs. Debuggers
# still know the names of the source, which the debugging information keeps. A second run changes nothing.

# run(COMMAND...) - its output is in ${output}.
function(run)
    execute_process(COMMAND ${ARGV} OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
    set(output "${text}" PARENT_SCOPE)
endfunction()

run(${READELF} --wide --symbols ${ARCHIVE})
string(REGEX MATCHALL "(GLOBAL|WEAK) +(HIDDEN|INTERNAL) [^\n]*" symbols "${output}")
list(FILTER symbols EXCLUDE REGEX " UND ")
list(TRANSFORM symbols REPLACE ".* " "")
list(REMOVE_DUPLICATES symbols)
# The bytecode that -flto puts in place of machine code has no symbols to rename.
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
