"""What AlphaGo alone uses: the stages of the 2016 pipeline, and pictures of boards."""
