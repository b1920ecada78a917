"""`python -m tests.deploy.index`: the functions that the worker finds with this Python, and their bindings, as JSON."""

import json
import sys

import function_app

found = {
    function.get_function_name(): [one.get_dict_repr() for one in function.get_bindings()]
    for function in function_app.app.get_functions()
}
sys.stdout.write(json.dumps(found, default=str) + "\n")
