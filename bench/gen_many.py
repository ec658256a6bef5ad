#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: gen_many.py DIR COUNT FILES

Writes DIR/many.h (the table) and DIR/many-K.c: COUNT small functions in FILES files."""
import os
import sys


def main():
    directory, count, files = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "many.h"), "w") as header:
        header.write(f"#define MANY {count}\nextern int (*const many_table[MANY])(int);\n")
    for k in range(files):
        with open(os.path.join(directory, f"many-{k}.c"), "w") as source:
            for i in range(k, count, files):
                source.write(f"int many_{i}(int x) {{ return x + {i}; }}\n")
    with open(os.path.join(directory, "many-table.c"), "w") as table:
        table.write('#include "many.h"\n')
        table.write("".join(f"int many_{i}(int);\n" for i in range(count)))
        table.write("int (*const many_table[MANY])(int) = {\n")
        table.write("".join(f"\tmany_{i},\n" for i in range(count)) + "};\n")


if len(sys.argv) != 4:
    sys.exit(__doc__)
main()
