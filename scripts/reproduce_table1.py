"""Make table 1 of the paper: all seven metrics on PASCAL VOC 2012.

    python scripts/reproduce_table1.py --set data.root=VOCdevkit/VOC2012

Further arguments are those of `guidedcam evaluate`; configs/table1_*.yaml say what is measured.
"""

import reproduce

if __name__ == "__main__":
    reproduce.table(1)
