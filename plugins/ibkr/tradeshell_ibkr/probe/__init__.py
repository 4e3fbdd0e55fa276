"""``tradeshell probe``: what a broker really does where its documentation is silent, asked of a paper account with single shares.

``catalogue`` has the questions, ``answers`` what becomes of them (both pure), ``hearing`` and ``tape`` what was heard over a
``Connection``, ``bench`` the hands that place, change, cancel and clean up, ``resting`` and ``filling`` how each question is
asked, ``interview`` the order of it all, ``program`` the command line.

Laws: only a paper account, only a symbol in which nothing is held and nothing works; every order is one or two shares; after each
trial everything it placed is cancelled and everything it bought is sold, and what is left after all is said, whatever ended it.
"""
