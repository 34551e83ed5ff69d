"""The watched folder: a file dropped into it is sent, and comes to rest in the folder that says what became of it.

    the folder -> processing/ -> done/      it became a finished campaign, whatever its rows
                              -> failed/    it could not become one; a text beside it says why
                              -> waiting/   held, halted, or for approval; approved/ and rejected/ decide

The ledger is the truth and the folders show it: after a crash a file in ``processing/`` is found again by its name,
which no other file has, and its campaign goes on.
"""
