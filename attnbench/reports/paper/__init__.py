"""Tables as a paper prints them: few columns, rounded figures, LaTeX that fits its page."""
