"""Make figure 4 of the paper: maps by method, the whole comparison.

    python scripts/reproduce_figure4.py --set root=FOLDER_OF_PICTURES
    python scripts/reproduce_figure4.py --demo

Further arguments are those of `guidedcam figure`; configs/figure4.yaml says what is shown.
"""

import reproduce

if __name__ == "__main__":
    reproduce.figure(4)
