"""Make figure 1 of the paper: the guidance map of one picture with two classes.

    python scripts/reproduce_figure1.py --set root=FOLDER_OF_PICTURES
    python scripts/reproduce_figure1.py --demo

Further arguments are those of `guidedcam figure`; configs/figure1.yaml says what is shown.
"""

import reproduce

if __name__ == "__main__":
    reproduce.figure(1)
