"""KerasHub's families of networks in small, with random weights."""

import keras
import numpy as np

SIDE = 64
SHAPE = (SIDE, SIDE, 3)


def _hub():
    import keras_hub

    return keras_hub.models


def _preprocessor(kind, converter):
    return kind(
        image_converter=converter(
            image_size=(SIDE, SIDE), scale=1 / 127.5, offset=-1.0, dtype="float32"
        )
    )


def _classifier(hub, family, backbone, **options):
    kind = getattr(hub, f"{family}ImageClassifier")
    import keras_hub

    preprocessor = _preprocessor(
        getattr(hub, f"{family}ImageClassifierPreprocessor"),
        getattr(keras_hub.layers, f"{family}ImageConverter"),
    )
    return kind(backbone=backbone, num_classes=4, preprocessor=preprocessor, **options)


def resnet(hub):
    return hub.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 16],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        use_pre_activation=False,
        image_shape=SHAPE,
    )


def densenet(hub):
    return hub.DenseNetBackbone(stackwise_num_repeats=[1, 1], growth_rate=8, image_shape=SHAPE)


def efficientnet(hub):
    return hub.EfficientNetBackbone(
        stackwise_kernel_sizes=[3, 3],
        stackwise_num_repeats=[1, 1],
        stackwise_input_filters=[8, 8],
        stackwise_output_filters=[8, 16],
        stackwise_expansion_ratios=[1, 2],
        stackwise_squeeze_and_excite_ratios=[0.25, 0.25],
        stackwise_strides=[1, 2],
        stackwise_block_types=["v1", "v1"],
        width_coefficient=1.0,
        depth_coefficient=1.0,
        stem_conv_padding="valid",
        image_shape=SHAPE,
    )


def mobilenet(hub):
    return hub.MobileNetBackbone(
        stackwise_expansion=[[8, 16], [24]],
        stackwise_num_blocks=[2, 1],
        stackwise_num_filters=[[8, 8], [16]],
        stackwise_kernel_size=[[3, 3], [3]],
        stackwise_num_strides=[[2, 1], [1]],
        stackwise_se_ratio=[[None, None], [0.25]],
        stackwise_activation=[["relu", "relu"], ["hard_swish"]],
        stackwise_padding=[[1, 1], [1]],
        output_num_filters=16,
        input_activation="hard_swish",
        output_activation="hard_swish",
        input_num_filters=8,
        depthwise_filters=8,
        depthwise_stride=2,
        depthwise_residual=False,
        squeeze_and_excite=0.5,
        last_layer_filter=32,
        image_shape=SHAPE,
    )


def cspnet(hub):
    return hub.CSPNetBackbone(
        stem_filters=8,
        stem_kernel_size=3,
        stem_strides=2,
        stackwise_depth=[1, 1],
        stackwise_strides=[1, 2],
        stackwise_num_filters=[8, 16],
        block_type="dark_block",
        stage_type="dark",
        image_shape=SHAPE,
    )


def vgg(hub):
    return hub.VGGBackbone(
        stackwise_num_repeats=[1, 1, 1], stackwise_num_filters=[8, 8, 16], image_shape=SHAPE
    )


def xception(hub):
    return hub.XceptionBackbone(
        stackwise_conv_filters=[[8, 8], [16, 16]],
        stackwise_pooling=[True, False],
        image_shape=SHAPE,
    )


def hgnetv2(hub, stages=2, **options):
    return hub.HGNetV2Backbone(
        depths=[1] * stages,
        embedding_size=8,
        hidden_sizes=[16, 32, 48, 64][:stages],
        stem_channels=[3, 8, 8],
        hidden_act="relu",
        use_learnable_affine_block=False,
        stackwise_stage_filters=[
            (8, 8, 16, 1, 1, 3),
            (16, 8, 32, 1, 1, 3),
            (32, 16, 48, 1, 1, 3),
            (48, 16, 64, 1, 1, 3),
        ][:stages],
        apply_downsample=[False, True, True, True][:stages],
        use_lightweight_conv_block=[False] * stages,
        image_shape=SHAPE,
        **options,
    )


def mit(hub, levels=2):
    return hub.MiTBackbone(
        layerwise_depths=[1] * levels,
        num_layers=levels,
        layerwise_num_heads=[1, 2, 2, 2][:levels],
        layerwise_sr_ratios=[2, 1, 1, 1][:levels],
        max_drop_path_rate=0.0,
        layerwise_patch_sizes=[7, 3, 3, 3][:levels],
        layerwise_strides=[4, 2, 2, 2][:levels],
        hidden_dims=[8, 16, 24, 32][:levels],
        image_shape=SHAPE,
    )


def vit(hub):
    return hub.ViTBackbone(
        image_shape=SHAPE, patch_size=16, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=24
    )


def deit(hub):
    return hub.DeiTBackbone(
        image_shape=SHAPE,
        patch_size=16,
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=24,
    )


def swin(hub):
    return hub.SwinTransformerBackbone(
        image_shape=SHAPE, embed_dim=8, depths=(2, 2), num_heads=(2, 2), window_size=4
    )


def dinov2(hub):
    return hub.DINOV2Backbone(
        patch_size=16,
        num_layers=2,
        hidden_dim=16,
        num_heads=2,
        intermediate_dim=24,
        num_register_tokens=3,
        image_shape=SHAPE,
        position_embedding_shape=(SIDE, SIDE),
    )


def _headed_dinov2(hub):
    backbone = dinov2(hub)
    tokens = (
        backbone.output["sequence_output"]
        if isinstance(backbone.output, dict)
        else (backbone.output)
    )
    return keras.Model(backbone.input, keras.layers.Dense(4, name="predictions")(tokens[:, 0]))


def _segformer(hub):
    backbone = hub.SegFormerBackbone(image_encoder=mit(hub, 4), projection_filters=8)
    return hub.SegFormerImageSegmenter(backbone=backbone, num_classes=3)


def _pyramid_resnet(hub):
    return hub.ResNetBackbone(
        input_conv_filters=[8],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 8, 16, 16],
        stackwise_num_blocks=[1, 1, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="bottleneck_block",
        image_shape=SHAPE,
    )


def _deeplab(hub):
    backbone = hub.DeepLabV3Backbone(
        image_encoder=_pyramid_resnet(hub),
        low_level_feature_key="P2",
        spatial_pyramid_pooling_key="P4",
        dilation_rates=[2, 4],
        upsampling_size=4,
        projection_filters=8,
        image_shape=SHAPE,
    )
    return hub.DeepLabV3ImageSegmenter(backbone=backbone, num_classes=3, activation=None)


def _retinanet(hub):
    import keras_hub

    backbone = hub.RetinaNetBackbone(
        image_encoder=_pyramid_resnet(hub), min_level=3, max_level=4, use_p5=False
    )
    anchors = keras_hub.layers.AnchorGenerator(
        bounding_box_format="yxyx",
        min_level=3,
        max_level=4,
        num_scales=1,
        aspect_ratios=[1.0],
        anchor_size=2.0,
    )
    return hub.RetinaNetObjectDetector(
        backbone=backbone,
        num_classes=3,
        bounding_box_format="yxyx",
        label_encoder=None,
        anchor_generator=anchors,
    )


def _dfine(hub):
    backbone = hub.DFineBackbone(
        backbone=hgnetv2(hub, 4, out_features=["stage3", "stage4"]),
        decoder_in_channels=[16, 16],
        encoder_hidden_dim=16,
        num_denoising=0,
        num_labels=4,
        hidden_dim=16,
        learn_initial_query=False,
        num_queries=10,
        anchor_image_size=(SIDE, SIDE),
        feat_strides=[16, 32],
        num_feature_levels=2,
        encoder_in_channels=[48, 64],
        encode_proj_layers=[1],
        num_attention_heads=2,
        encoder_ffn_dim=16,
        num_encoder_layers=1,
        hidden_expansion=0.34,
        depth_multiplier=0.5,
        eval_idx=-1,
        num_decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=16,
        decoder_n_points=[2, 2],
        lqe_hidden_dim=8,
        num_lqe_layers=2,
        out_features=["stage3", "stage4"],
        image_shape=SHAPE,
    )
    return hub.DFineObjectDetector(backbone=backbone, num_classes=4, bounding_box_format="yxyx")


def _sam(hub):
    import keras_hub

    cells = SIDE // 16
    backbone = hub.SAMBackbone(
        image_encoder=hub.ViTDetBackbone(
            hidden_size=16,
            num_layers=2,
            intermediate_dim=32,
            num_heads=2,
            global_attention_layer_indices=[1],
            patch_size=16,
            num_output_channels=8,
            window_size=2,
            image_shape=SHAPE,
        ),
        prompt_encoder=keras_hub.layers.SAMPromptEncoder(
            hidden_size=8,
            image_embedding_size=(cells, cells),
            input_image_size=(SIDE, SIDE),
            mask_in_channels=16,
        ),
        mask_decoder=keras_hub.layers.SAMMaskDecoder(
            num_layers=1,
            hidden_size=8,
            intermediate_dim=16,
            num_heads=2,
            embedding_dim=8,
            num_multimask_outputs=3,
            iou_head_depth=2,
            iou_head_hidden_dim=8,
        ),
    )
    return hub.SAMImageSegmenter(backbone=backbone)


CLASSIFIERS = {
    "ResNet": resnet,
    "DenseNet": densenet,
    "EfficientNet": efficientnet,
    "MobileNet": mobilenet,
    "CSPNet": cspnet,
    "VGG": vgg,
    "Xception": xception,
    "HGNetV2": hgnetv2,
    "MiT": mit,
    "ViT": vit,
    "DeiT": deit,
    "SwinTransformer": swin,
}

OTHERS = {
    "DINOv2": _headed_dinov2,
    "SegFormer": _segformer,
    "DeepLabV3": _deeplab,
    "RetinaNet": _retinanet,
    "DFine": _dfine,
    "SAM": _sam,
}


def build(family, seed=0):
    """A network of a family whose maps are not zero, with the names of a new process."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    hub = _hub()
    if family in CLASSIFIERS:
        model = _classifier(hub, family, CLASSIFIERS[family](hub))
    else:
        model = OTHERS[family](hub)
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        if "seed" not in variable.path and "moving" not in variable.path:
            spread = 0.1 * generator.normal(size=variable.shape)
            variable.assign_add(spread.astype(variable.dtype))
    return model
