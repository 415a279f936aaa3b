"""Reads a JUnit report as CI systems do, and prints what is in it as JSON."""

import json
import sys

from junitparser import Error, Failure, Skipped
from junitparser.xunit2 import JUnitXml

KINDS = {Failure: "failure", Error: "error", Skipped: "skipped"}


def result(of):
    return {"kind": KINDS[type(of)], "type": of.type, "message": of.message, "text": of.text}


def again(runs):
    return [{"message": run.message, "text": (run.text or "").strip()} for run in runs]


def case(of):
    return {
        "name": of.name,
        "class": of.classname,
        "file": of._elem.get("file"),
        "line": of._elem.get("line"),
        "results": [result(each) for each in of.result],
        "flaky": again(of.flaky_failures()) + again(of.flaky_errors()),
        "reruns": again(of.rerun_failures()) + again(of.rerun_errors()),
        "said": of.system_out,
    }


def suite(of):
    counts = {"tests": of.tests, "failures": of.failures, "errors": of.errors, "skipped": of.skipped}
    cases = [case(each) for each in of]
    # What the report counts itself is what there is.
    of.update_statistics()
    counted = {"tests": of.tests, "failures": of.failures, "errors": of.errors, "skipped": of.skipped}
    assert counts == counted, (counts, counted)
    return {"name": of.name, **counts, "cases": cases}


report = JUnitXml.fromfile(sys.argv[1])
json.dump({"name": report.name, "suites": [suite(each) for each in report]}, sys.stdout)
