// What an error code means, and what the reader can do about it.

const WRONG_FILE = "Check that the file opens in an image viewer, and export it again if it does not.";
const SMALLER = "Submit a smaller or cropped image, or ask the operator to raise the limit.";
const OPERATOR = "Ask the operator of the service to look at its logs.";
const LATER = "Nothing is lost. Try again in a few minutes.";
const AGAIN = "Run the failed items again.";
const QUOTA = "Wait until some of your jobs have ended, or ask the operator for a larger quota.";

const WORDS = {
  not_an_image: ["The file is not an image that the service can read.", WRONG_FILE],
  truncated: ["The file ends too early or is damaged.", "Copy the file from its origin again."],
  unsupported_image: ["The service cannot read this kind of image.", "Convert it to PNG, JPEG, DICOM or NIfTI."],
  too_many_pixels: ["The image has too many pixels.", SMALLER],
  decode_too_large: ["Decoding the image needs too much memory.", SMALLER],
  zero_sized: ["The image has no pixels.", WRONG_FILE],
  no_pixels: ["The file contains no image.", "Leave it out."],
  not_a_picture: ["The file contains data derived from images, such as a segmentation.", "Submit the images themselves."],
  hidden_file: ["The file was written by an operating system and is not an image.", "Leave it out."],
  viewer_picture: ["The picture belongs to the viewer program on the medium.", "Leave it out."],
  directory_file: ["The file only lists other files (DICOMDIR).", "Submit the files that it lists."],
  tag_invalid: ["A tag of the file is missing or cannot be used.", "Export the images from their archive again."],
  unsupported_transfer_syntax: ["The pixels are encoded in a way that the service cannot read.", "Export the images uncompressed or as JPEG 2000."],
  frame_out_of_range: ["The file has fewer frames than it says.", WRONG_FILE],
  volume_needed: ["The file contains several volumes.", "Submit it again, and choose a volume under “Options”."],
  source_missing: ["The uploaded file no longer exists.", "Submit the file again."],
  source_too_large: ["The file is larger than a worker may open.", SMALLER],
  source_not_found: ["There is no file at this address.", "Check the address."],
  source_forbidden: ["The store does not allow the service to read the file.", OPERATOR],
  source_changed: ["The file has changed since the job was planned.", "Submit it again."],
  source_not_allowed: ["The service may not read from this address for you.", "Ask the operator to allow it."],
  source_invalid: ["The address cannot be used.", "Check the address."],
  decoder_crashed: ["Decoding the file crashed a worker twice.", "Leave the file out, and report it to the operator."],
  decode_timeout: ["Decoding the file took too long.", SMALLER],
  artifact_unsupported: ["This kind of result cannot be made from the file.", "Choose other files under “Options”."],
  series_incomplete: ["Slices of the series are missing, or several have the same position.", "Add the missing slices, or allow incomplete series under “Options”."],
  archive_invalid: ["The archive is damaged or of an unknown format.", "Pack the files again as ZIP."],
  archive_too_large: ["The archive contains more than the service accepts.", "Submit the files in several jobs."],
  archive_nested: ["The archive contains another archive.", "Unpack the inner archive first."],
  burned_in_annotation: ["The image may show text that is burned in.", "Check the image, and allow it under “Options” if it shows no patient data."],
  assembly_failed: ["A file of the whole item could not be made.", AGAIN],
  scoring_failed: ["The model failed on this image.", AGAIN],
  request_too_large: ["The model refuses the image because it is too large.", SMALLER],
  answer_invalid: ["The answer of the model was not valid.", AGAIN],
  planning_failed: ["The job could not be planned.", OPERATOR],
  assembling_failed: ["The files of an item could not be made.", OPERATOR],
  finishing_failed: ["The result could not be written. All masks are kept.", OPERATOR],
  cancelled: ["The job was cancelled.", "Submit it again if you still need it."],
  deadline: ["The deadline of the job has passed.", "Submit it again with a later deadline."],
  unauthenticated: ["The service does not know this key.", "Check the key, or ask the operator for a new one."],
  scope_missing: ["Your key does not allow this.", "Ask the operator for a key with this permission."],
  not_found: ["This does not exist, or your key may not see it.", "Check the address."],
  gone: ["The job was deleted or has expired.", "Submit it again if you still need it."],
  not_cancellable: ["The job is already finishing or finished.", "Reload the page to see its results."],
  nothing_to_redrive: ["No failed item of this job can succeed in a second attempt.", "Correct the files, and submit them again."],
  body_too_large: ["The file is larger than the service accepts.", SMALLER],
  quota_reached: ["You have reached a quota.", QUOTA],
  jobs_quota_reached: ["You have too many unfinished jobs.", QUOTA],
  frames_quota_reached: ["You have too many unfinished images.", QUOTA],
  interactive_quota_reached: ["You have too many unfinished interactive images.", "Choose the queue “bulk” under “Options”, or wait."],
  bytes_quota_reached: ["Your unfinished jobs and unused uploads take too much space.", QUOTA],
  too_many_items: ["The job has too many files.", "Submit them in several jobs."],
  too_many_prompts: ["There are too many prompts.", "Remove some of them."],
  prompt_too_long: ["A prompt is too long for the model.", "Shorten it."],
  prompt_has_ampersand: ["A prompt contains “&”.", "Write “and” instead, or make two prompts."],
  prompt_has_control: ["A prompt contains a line break or a control character.", "Type it again."],
  option_invalid: ["An option has a value that cannot be used.", "Check the options."],
  lane_forbidden: ["The interactive queue accepts only small jobs.", "Choose the queue “bulk”."],
  upload_expired: ["The upload is too old.", "Submit the files again."],
  storage_unavailable: ["The storage cannot be reached at present.", LATER],
  ledger_unavailable: ["The service is busy recovering (its Redis cannot be reached).", LATER],
  ledger_full: ["The service has no room for new jobs at present.", LATER],
  endpoints_unknown: ["No model is available yet.", LATER],
  issuer_unavailable: ["Your sign-in cannot be checked at present.", LATER],
  service_unreachable: ["The service cannot be reached.", "Check your network connection, and try again."],
  internal: ["Something went wrong inside the service.", OPERATOR],
};

/** Return what an error means and what to do. `detail` is used if this version of the page does not know the code. */
export function errorWords(code, detail = null) {
  const [meaning, advice] = WORDS[code] ?? [detail || `The error “${code}” occurred.`, "See the page of errors in the documentation."];
  return { meaning, advice };
}

const FLAGS = {
  empty: "The mask is empty",
  full_frame: "The mask covers the whole image",
  touches_border: "The mask touches the border",
  overlaps: "The mask overlaps another one",
  many_fragments: "The mask has very many pieces",
  category_at_odds: "The model's category does not fit the prompt",
  size_outlier: "The size differs much from that of the other masks",
  neighbours_disagree: "The mask differs from those of the neighbouring slices",
  geometry_check: "The position of the mask could not be confirmed",
  too_thin: "The image is too narrow for a reliable mask",
  max_le_1: "The model's answer has the wrong scale",
};

/** Return the meaning of a flag. */
export function flagWords(flag) {
  return FLAGS[flag] ?? flag.replaceAll("_", " ");
}
