"""A page in the browser: a file is dropped, and the detector's answer is shown as one piece of HTML.

Images are embedded in the HTML, so that Gradio stores no files.
"""
