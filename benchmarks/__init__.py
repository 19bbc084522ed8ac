"""What dspex costs, measured beside what it is compared with; see README.md.

Each `pN_*` module measures one aim and returns `Figure`s. A figure stands beside its reference from
the same run, because absolute times say little from one machine to the next. Nothing is asserted: a
missed aim is printed, not raised.
"""
