"""A page in the browser: a file is dropped, and what the detector says about it comes as one piece of HTML.

Nothing of it is a file that Gradio would keep: images travel inside the HTML.
"""
