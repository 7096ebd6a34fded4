"""Speed and memory, as ratios: hand-written NumPy, this engine and whichever peers are installed, in one run.

    python -m benchmarks                               everything, as tables
    python -m benchmarks --workload W3,W5 --rounds 9   these workloads only
    python -m benchmarks --only scaling,import         these parts only
    python -m benchmarks --json out.json               the raw numbers too
    python -m benchmarks --write docs/benchmarks.md    the page

A time in seconds says little about an engine: machines differ, and so do their moods. So every engine runs beside the
NumPy that a lecture would show for the same computation, in turns, and what is reported is the ratio within a turn.
"""
