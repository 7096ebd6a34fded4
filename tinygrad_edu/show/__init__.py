"""Readers: what shows a recorded graph to a person. Each is loaded when it is first used."""
