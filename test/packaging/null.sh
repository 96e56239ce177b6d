#!/bin/sh
# Pointers are compared with NULL and never used as truth values: `block == NULL`, not `!block`. It is one query,
# because each goes through all of every file.
set -eu
cd "$SOURCE_DIR"
queries=$(mktemp)
trap 'rm -f "$queries"' EXIT
cat >"$queries" <<'END'
set bind-root false
let pointer expr(hasType(hasUnqualifiedDesugaredType(pointerType())), unless(isExpansionInSystemHeader())).bind("pointer")
match stmt(anyOf(unaryOperator(hasOperatorName("!"), hasUnaryOperand(pointer)), binaryOperator(hasAnyOperatorName("&&", "||"), anyOf(hasLHS(pointer), hasRHS(pointer))), ifStmt(hasCondition(pointer)), whileStmt(hasCondition(pointer)), forStmt(hasCondition(pointer)), doStmt(hasCondition(pointer)), conditionalOperator(hasCondition(pointer)), implicitCastExpr(hasCastKind("CK_PointerToBoolean"), hasSourceExpression(pointer))))
END

# A query that clang-query does not understand is an error, not a search without matches.
found=$(find src insight test -name '*.c' ! -path 'test/fuzz/*' -print0 | xargs -0 clang-query -p "$BUILD_DIR" -f "$queries" 2>&1 |
    grep -E '"pointer" binds here|Error (parsing|building)' | grep -v '^/usr/' | sort -u || true)
[ -z "$found" ] || {
    echo "$found"
    exit 1
}
