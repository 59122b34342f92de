"""Never executed: mypy and pyright, both strict, check that the public API has the types that these files pin.

A `type: ignore` here is a test, too: mypy reports it as unused if what stands on its line is no error.
"""
