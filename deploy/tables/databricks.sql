-- Views over the result tables for Databricks (and Spark SQL 3.4 or later).
--
-- First create the four tables, in the catalog and schema of your choice:
--
--   CREATE TABLE masks USING delta LOCATION 's3://lake/maskrelay/masks';
--   CREATE TABLE segments USING delta LOCATION 's3://lake/maskrelay/segments';
--   CREATE TABLE items USING delta LOCATION 's3://lake/maskrelay/items';
--   CREATE TABLE runs USING delta LOCATION 's3://lake/maskrelay/runs';
--
-- The views of OMOP need a table `image_occurrence` of your own (OMOP MI-CDM), in which `image_series_uid` has the same
-- form as `options.identifiers` chose for the runs.

-- The columns of `seg_index` of the NCI Imaging Data Commons: one row for each series of DICOM SEG objects.
CREATE OR REPLACE VIEW seg_index AS
SELECT
  SeriesInstanceUID,
  any_value(SegmentationType) AS SegmentationType,
  count(DISTINCT SegmentNumber) AS total_segments,
  array_join(array_sort(collect_set(AlgorithmType)), ',') AS AlgorithmType,
  array_join(array_sort(collect_set(AlgorithmName)), ',') AS AlgorithmName,
  any_value(segmented_SeriesInstanceUID) AS segmented_SeriesInstanceUID
FROM segments
WHERE SeriesInstanceUID IS NOT NULL
GROUP BY SeriesInstanceUID;

-- The features of the views below: the volume of each segment that was found, in jobs that have ended. The keys are
-- computed from the names of the rows by MD5, so they are the same in every program and every version of it.
CREATE OR REPLACE VIEW omop_segments AS
SELECT
  CAST(conv(left(md5(concat_ws('/', s.run, s.item, s.prompt_number)), 15), 16, 10) AS BIGINT) AS feature_id,
  s.*,
  i.image_occurrence_id,
  i.person_id,
  i.visit_occurrence_id,
  i.image_occurrence_date,
  r.finished_at
FROM segments s
JOIN image_occurrence i ON i.image_series_uid = s.segmented_SeriesInstanceUID
JOIN runs r ON r.run = s.run
WHERE s.final AND r.final AND s.slices > 0 AND s.volume_ml IS NOT NULL;

-- IMAGE_FEATURE of OMOP MI-CDM. A concept that you must choose yourself is 0. 1147330 is the table MEASUREMENT.
CREATE OR REPLACE VIEW image_feature AS
SELECT
  feature_id AS image_feature_id,
  person_id,
  image_occurrence_id,
  1147330 AS image_feature_event_field_concept_id,
  feature_id AS image_feature_event_id,
  0 AS image_feature_concept_id,
  0 AS image_feature_type_concept_id,
  0 AS image_finding_concept_id,
  feature_id AS image_finding_id,
  0 AS anatomic_site_concept_id,
  concat_ws(' ', AlgorithmName, model_version) AS alg_system,
  finished_at AS alg_datetime
FROM omop_segments;

-- MEASUREMENT of the OMOP CDM 5.4: the volume in millilitres (unit 8587), at the date of the image. The source value is
-- the SNOMED CT code.
CREATE OR REPLACE VIEW measurement AS
SELECT
  feature_id AS measurement_id,
  person_id,
  0 AS measurement_concept_id,
  CAST(image_occurrence_date AS DATE) AS measurement_date,
  CAST(image_occurrence_date AS TIMESTAMP) AS measurement_datetime,
  CAST(NULL AS STRING) AS measurement_time,
  0 AS measurement_type_concept_id,
  CAST(NULL AS INT) AS operator_concept_id,
  volume_ml AS value_as_number,
  CAST(NULL AS INT) AS value_as_concept_id,
  8587 AS unit_concept_id,
  CAST(NULL AS DOUBLE) AS range_low,
  CAST(NULL AS DOUBLE) AS range_high,
  CAST(NULL AS INT) AS provider_id,
  visit_occurrence_id,
  CAST(NULL AS INT) AS visit_detail_id,
  SegmentedPropertyType_CodeValue AS measurement_source_value,
  0 AS measurement_source_concept_id,
  'mL' AS unit_source_value,
  8587 AS unit_source_concept_id,
  CAST(volume_ml AS STRING) AS value_source_value,
  image_occurrence_id AS measurement_event_id,
  CAST(NULL AS INT) AS meas_event_field_concept_id
FROM omop_segments;

-- COCO. The three views are the three lists of a COCO file. `segmentation` is what pycocotools reads.
CREATE OR REPLACE VIEW coco_categories AS
SELECT row_number() OVER (ORDER BY prompt) AS id, prompt AS name FROM (SELECT DISTINCT prompt FROM masks);

CREATE OR REPLACE VIEW coco_images AS
SELECT DISTINCT
  CAST(conv(left(md5(concat_ws('/', run, run_frame)), 15), 16, 10) AS BIGINT) AS id,
  width,
  height,
  coalesce(source, source_name, custom_id) AS file_name,
  frame
FROM masks;

CREATE OR REPLACE VIEW coco_annotations AS
SELECT
  CAST(conv(left(md5(concat_ws('/', m.run, m.run_frame, m.prompt_number)), 15), 16, 10) AS BIGINT) AS id,
  CAST(conv(left(md5(concat_ws('/', m.run, m.run_frame)), 15), 16, 10) AS BIGINT) AS image_id,
  c.id AS category_id,
  named_struct('size', array(m.height, m.width), 'counts', m.rle_counts) AS segmentation,
  m.area_px AS area,
  array(m.bbox_x, m.bbox_y, m.bbox_width, m.bbox_height) AS bbox,
  0 AS iscrowd,
  m.mean_probability AS score
FROM masks m
JOIN coco_categories c ON c.name = m.prompt
WHERE NOT m.empty;
