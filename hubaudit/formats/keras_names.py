"""The names of Keras's own classes and functions. By tests/fixtures/make_keras_names.py."""

from __future__ import annotations

# keras 3.15.1, and those of Keras 2
KERAS_NAMES = frozenset(
    """
    AUC AWQConfig AWQDTypePolicy Abs AbsMaxQuantizer Absolute Accuracy Activation
    ActivityRegularization ActivityRegularizer Adadelta Adafactor Adagrad Adam AdamOptimizer AdamW
    Adamax AdaptiveAveragePool AdaptiveAveragePooling1D AdaptiveAveragePooling2D
    AdaptiveAveragePooling3D AdaptiveMaxPool AdaptiveMaxPooling1D AdaptiveMaxPooling2D
    AdaptiveMaxPooling3D Add AddLoss AddMetric AdditiveAttention AffineTransform All AllClose
    AlphaDropout Amax Amin Angle Any Append Arange Arccos Arccosh Arcsin Arcsinh Arctan Arctan2
    Arctanh Argmax Argmin Argpartition Argsort Array ArraySplit AssociativeScan
    AtrousConvolution1D AtrousConvolution2D Attention AugMix AutoContrast Average AveragePool
    AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D BCE
    BaseAdaptiveAveragePooling BaseAdaptiveMaxPooling BaseAdaptivePooling BaseConv
    BaseConvTranspose BaseDepthwiseConv BaseGlobalPooling BaseImagePreprocessingLayer BasePooling
    BaseSeparableConv BaseSpatialDropout BatchNorm BatchNormalization BatchNormalizationV1
    BatchNormalizationV2 Bidirectional BinaryAccuracy BinaryCrossentropy BinaryFocalCrossentropy
    BinaryIoU Bincount BitwiseAnd BitwiseInvert BitwiseLeftShift BitwiseNot BitwiseOr
    BitwiseRightShift BitwiseXor BroadcastTo CDist CTC CTCDecode CTCLoss Cast CategoricalAccuracy
    CategoricalCrossentropy CategoricalEncoding CategoricalFocalCrossentropy
    CategoricalGeneralizedCrossEntropy CategoricalHinge CategoryEncoding Cbrt Ceil Celu CenterCrop
    Cholesky CholeskyInverse Circle ClassMethod Clip Concatenate ConcordanceCorrelation Cond Conj
    Conjugate Constant ConstantV2 Constraint ContrastLimitedAdaptiveHistogramEqualization Conv
    Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM ConvLSTM1D
    ConvLSTM2D ConvLSTM2DCell ConvLSTM3D ConvLSTMCell ConvRNN2D ConvRecurrent2D ConvTranspose
    ConvertToTensor Convolution1D Convolution1DTranspose Convolution2D Convolution2DTranspose
    Convolution3D Convolution3DTranspose Copy Corrcoef Correlate Cos Cosh CosineDecay
    CosineDecayRestarts CosineSimilarity CountNonzero CropImages Cropping1D Cropping2D Cropping3D
    Cross CuDNNGRU CuDNNLSTM Cumprod Cumsum CustomScaleLayer CutMix DTypePolicy DTypePolicyMap
    DataLayer Deg2rad Dense DenseFeatures DepthToSpace DepthwiseConv DepthwiseConv1D
    DepthwiseConv2D Det Diag Diagflat Diagonal Dice Diff Digitize Discretization Distiller Divide
    DivideNoNan Dot DotProductAttention Dropout Dsplit Dstack ELU Eig Eigh Einsum EinsumDense
    ElasticTransform Elu Embedding EmptyLike Equal Equalization Erf Erfc Erfinv Exp Exp2
    ExpandDims ExperimentalRunner Expm1 Exponential ExponentialDecay ExtractPatches
    ExtractSequences F1Score FBetaScore FFT FFT2 Fabs FakeQuantWithMinMaxVars FalseNegatives
    FalsePositives FeatureSpace Flatten FlaxLayer Flip Fliplr Flipud Float8QuantizationConfig
    FloatDTypePolicy Floor FloorDivide Fmax Fmin Fmod Fold ForiLoop Ftrl Full FullLike Function
    Functional GPTQConfig GPTQDTypePolicy GRU GRUCell GRUV2 GaussianBlur GaussianDropout
    GaussianNoise Gcd Gelu Geomspace GetItem GlobalAveragePooling1D GlobalAveragePooling2D
    GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D
    GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
    GlorotNormal GlorotNormalV2 GlorotUniform GlorotUniformV2 Glu GradientDescentOptimizer Graph
    Greater GreaterEqual GroupNormalization GroupQueryAttention GroupedQueryAttention HSVToRGB
    HardShrink HardSigmoid HardSilu HardTanh HashedCrossing Hashing HeNormal HeNormalV2 HeUniform
    HeUniformV2 Heaviside Highway Hinge Histogram Hsplit Hstack Huber Hypot I0 IFFT2 IRFFT ISTFT
    Identity IdentityInitializer IdentityV2 Imag InTopK IndexLookup Initializer Inner Input
    InputLayer InputSpec InstanceMethod InstanceProperty Int4DTypePolicy Int4QuantizationConfig
    Int8QuantizationConfig IntegerLookup Inv InverseTimeDecay IoU IsIn Isclose Isfinite Isinf
    Isnan Isneginf Isposinf Isreal JVP JaxLayer KLD KLDivergence KerasLayer KerasTensor Kron L1
    L1L2 L2 LSTM LSTMCell LSTMV2 Lamb Lambda Layer LayerNorm LayerNormalization
    LayerNormalizationV1 LayerScale Lcm Ldexp LeakyReLU LeakyRelu LearningRateSchedule LecunNormal
    LecunNormalV2 LecunUniform LecunUniformV2 LeftShift Less LessEqual LinearModel Linspace Lion
    LocallyConnected1D LocallyConnected2D Log Log10 Log1p Log2 LogCosh LogCoshError LogSigmoid
    LogSoftmax Logaddexp Logaddexp2 Logdet LogicalAnd LogicalNot LogicalOr LogicalXor Logspace
    Logsumexp Loss LossFunctionWrapper LossScaleOptimizer LossScaleOptimizerV3 Lstsq LuFactor MAE
    MAPE MSE MSLE Map MapCoordinates Masking Matmul MatrixRank Max MaxNorm MaxNumBoundingBoxes
    MaxPool MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D Maximum
    MaxoutDense Mean MeanAbsoluteError MeanAbsolutePercentageError MeanIoU MeanMetricWrapper
    MeanRelativeError MeanSquaredError MeanSquaredLogarithmicError Median MelSpectrogram Merge
    Meshgrid Metric Min MinMaxNorm Minimum Mish MixUp Mod Model ModuleWrapper Moments Moveaxis
    MultiHeadAttention MultiHot MultiOptimizer Multiply Muon Nadam NanToNum Nanargmax Nanargmin
    Nancumprod Nancumsum Nanmax Nanmean Nanmedian Nanmin Nanpercentile Nanprod Nanquantile Nanstd
    Nansum Nanvar Ndim Negative Network Nextafter NonNeg Nonzero Norm Normalization Normalize
    NotEqual OneHot OneHotIoU OneHotMeanIoU Ones OnesLike OnesV2 Operation Optimizer OptimizerMap
    OptimizerV2 Orthogonal OrthogonalInitializer OrthogonalRegularizer OrthogonalV2 Outer PReLU
    PSNR Pad PadImages PearsonCorrelation PeepholeLSTMCell Percentile Permute PerspectiveTransform
    PiecewiseConstantDecay Pinv Pipeline Poisson Polar Policy PolicyV1 PolynomialDecay Power
    Precision PrecisionAtRecall Prod Ptp Qr Quantile QuantizationConfig QuantizedDTypePolicy
    QuantizedFloat8DTypePolicy Quantizer R2Score RFFT RGBToGrayscale RGBToHSV RMSNorm
    RMSNormalization RMSPropOptimizer RMSprop RNN Rad2deg RandAugment RandomBrightness
    RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop RandomElasticTransform
    RandomErasing RandomFlip RandomFourierFeatures RandomGaussianBlur RandomGrayscale RandomHeight
    RandomHue RandomInvert RandomNormal RandomNormalV2 RandomPerspective RandomPosterization
    RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation RandomUniform
    RandomUniformV2 RandomWidth RandomZoom Ravel ReLU Real Rearrange Recall RecallAtPrecision
    Reciprocal Recurrent Regularizer Relu Relu6 RematScope Repeat RepeatVector Rescaling Reshape
    Resize Resizing ReversibleEmbedding RightShift Roll RootMeanSquaredError Rot90 Round Rsqrt SGD
    SSIM STFT STFTInitializer STFTSpectrogram SVD SaturateCast ScaleAndTranslate Scan Scatter
    ScatterUpdate ScheduleFreeAdamW SearchSorted SeedGenerator SegmentMax SegmentMin SegmentProd
    SegmentReduction SegmentSum Select Selu SensitivityAtSpecificity SeparableConv SeparableConv1D
    SeparableConv2D SeparableConvolution1D SeparableConvolution2D SequenceFeatures Sequential
    Sigmoid Sign Signbit Silu SimpleRNN SimpleRNNCell Sin Sinc Sinh Size Slice SliceUpdate
    SlicingOpLambda Slogdet SobelEdges SoftShrink Softmax Softplus Softsign Solarization Solve
    SolveTriangular Sort SpaceToDepth SparseCategoricalAccuracy SparseCategoricalCrossentropy
    SparsePlus SparseSigmoid SparseTopKCategoricalAccuracy Sparsemax SpatialDropout1D
    SpatialDropout2D SpatialDropout3D SpecificityAtSensitivity SpectralNormalization Split Sqrt
    Square SquaredHinge Squareplus Squeeze Stack StackedRNNCells StatelessScope Std
    StochasticDepth StopGradient StringLookup Subtract Sum SumOverBatchSize
    SumOverBatchSizeMetricWrapper Swapaxes Switch SymbolicScope SyncBatchNormalization TFDConcat
    TFDIdentity TFOpLambda TFOptimizer TFSMLayer Take TakeAlongAxis Tan Tanh TanhShrink
    TensorFlowOpLayer TensorShape TensorSpec Tensordot TextVectorization Threshold ThresholdedReLU
    Tile TimeDistributed TimeDistributedDense TopK TopKCategoricalAccuracy TorchModuleWrapper
    Trace Transpose Trapezoid Tril Triu TrueDivide TrueNegatives TruePositives Trunc
    TruncatedNormal TruncatedNormalV2 Tversky TypeSpec Unfold Unique UnitNorm UnitNormalization
    UnravelIndex Unstack UpSampling1D UpSampling2D UpSampling3D Vander Var Variable
    VarianceScaling VarianceScalingV2 Vdot VectorizedMap View ViewAsComplex ViewAsReal
    VocabWeightHandler Vsplit Vstack Where WhileLoop WideDeepModel Wrapper ZeroPadding1D
    ZeroPadding2D ZeroPadding3D Zeros ZerosLike ZerosV2 abs_max_quantize
    abs_max_quantize_grouped_with_zero_point acc accuracy adadelta adafactor adagrad adam adamax
    adamw add auc average bce beta binary_accuracy binary_crossentropy binary_focal_crossentropy
    binary_io_u binomial bool builtin categorical categorical_accuracy categorical_crossentropy
    categorical_focal_crossentropy categorical_generalized_cross_entropy categorical_hinge ce celu
    circle class clone_model compute_float8_amax_history compute_float8_scale concatenate
    concordance_correlation constant cosine cosine_proximity cosine_similarity crossentropy ctc
    deserialize device dice dict dot dropout elu exp exponential f1_score f_beta_score
    fake_quant_with_min_max_vars false_negatives false_positives float ftrl function gamma gelu
    get glorot_normal glorot_uniform glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh
    he_normal he_uniform hinge huber identity initializer int io_u kl_divergence kld
    kullback_leibler_divergence l1 l1_l2 l2 leaky_relu lecun_normal lecun_uniform linear lion list
    load_model log_cosh log_cosh_error log_sigmoid log_softmax logcosh lossscaleoptimizer mae mape
    max_norm maximum mean mean_absolute_error mean_absolute_percentage_error mean_io_u
    mean_metric_wrapper mean_squared_error mean_squared_logarithmic_error metric min_max_norm
    minimum mish model_from_json mse msle multioptimizer multiply muon nadam name_scope non_neg
    normal one one_hot_io_u one_hot_mean_io_u ones optimizer optimizermap orthogonal
    orthogonal_regularizer pack_int4 pearson_correlation poisson precision precision_at_recall
    quantize_and_dequantize r2_score randint random_normal random_uniform
    random_uniform_initializer recall recall_at_precision relu relu6 remat rmsprop
    root_mean_squared_error save_model schedulefreeadamw selu sensitivity_at_specificity serialize
    sgd shuffle sigmoid silu soft_shrink softmax softmax_v2 softplus softsign
    sparse_categorical_accuracy sparse_categorical_crossentropy sparse_plus sparse_sigmoid
    sparse_top_k_categorical_accuracy sparsemax specificity_at_sensitivity squared_hinge
    squareplus stft str subtract sum swish tanh tanh_shrink threshold top_k_categorical_accuracy
    true_negatives true_positives truncated_normal tuple tversky uniform unit_norm unpack_int4
    variance_scaling version zero zeros
    """.split()
)
