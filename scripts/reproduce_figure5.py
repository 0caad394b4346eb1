"""Make figure 5 of the paper: what networks see in a class that is not there.

    python scripts/reproduce_figure5.py --set root=FOLDER_OF_PICTURES
    python scripts/reproduce_figure5.py --demo

Further arguments are those of `guidedcam figure`; configs/figure5.yaml says what is shown.
"""

import reproduce

if __name__ == "__main__":
    reproduce.figure(5)
