"""What is shipped runs under every Python that a host may have, without its site-packages."""

from __future__ import annotations

import json
import subprocess

import pytest
from tests import pythons
from tests.core.examples import REQUEST
from tests.test_imports import SHIPPED, SOURCE, module_of

from dobby.core import request

# The loader is a script that stands alone.
MODULES = [module_of(file) for file in SHIPPED if file.stem != "loader"]

IMPORT_ALL = """
import json, sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[3:]:
    __import__(name)
from dobby.core import request, status
asked = request.parse_request(json.loads(sys.argv[2]))
assert request.parse_request(request.to_dict(asked)) == asked
final = status.Failed(finished_at="now", cause=status.Exit(code=3))
assert status.parse_final(status.dump_final(final)) == final
print(asked.digest())
"""


@pytest.mark.parametrize("version", pythons.found())
def test_every_python_imports_what_is_shipped(version: str) -> None:
    asked = json.dumps(request.to_dict(REQUEST))
    argv = [pythons.found()[version], "-I", "-S", "-B", "-W", "error", "-c", IMPORT_ALL]
    result = subprocess.run(
        [*argv, str(SOURCE), asked, *MODULES], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == REQUEST.digest(), "the same request has the same digest everywhere"
