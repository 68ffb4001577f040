"""The learner: Stack + Plan -> Model -> Samples."""
