"""Make figure 2 of the paper: maps by method, a short comparison.

    python scripts/reproduce_figure2.py --set root=FOLDER_OF_PICTURES
    python scripts/reproduce_figure2.py --demo

Further arguments are those of `guidedcam figure`; configs/figure2.yaml says what is shown.
"""

import reproduce

if __name__ == "__main__":
    reproduce.figure(2)
