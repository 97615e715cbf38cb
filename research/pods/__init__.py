"""Machines that are not there: dry runs, topologies, cost, communication."""
